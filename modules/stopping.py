"""Why a run ends before its end: a signal, a loss that is not a number, or the end of the process that started it."""

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Sequence
from types import FrameType
from typing import Any

import torch
from torch import Tensor

# What schedulers send before they kill (SIGTERM), what SLURM sends on request (SIGUSR1), and Ctrl-C.
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
STOPPED_EXIT_CODE = 75  # "temporary failure, try again" in sysexits.h: the run can be resumed


class StoppedError(Exception):
    """A signal asked the run to stop; in training a checkpoint has been written."""


class StopSignals:
    """Remembers that a signal came, so that the step at hand can be finished and a checkpoint written.

    A context manager: within it the signals do nothing else. A second Ctrl-C ends the process at once.
    """

    def __init__(self):
        self.received: signal.Signals | None = None
        self._pid = os.getpid()
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopSignals":
        self._previous = {number: signal.getsignal(number) for number in SIGNALS}
        self.install()
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def install(self) -> None:
        """Takes the signals, once more if another library has taken them since."""
        self._pid = os.getpid()
        for number in SIGNALS:
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            # A loader worker that was forked from us. It has nothing to save, and on Ctrl-C (which the terminal
            # sends to all) it must live on until its parent has finished the step.
            if number == signal.SIGTERM:
                os._exit(128 + number)
            return
        if number == signal.SIGINT and self.received == signal.SIGINT:
            os._exit(128 + number)
        self.received = signal.Signals(number)
        self._begin_to_stop()

    def _begin_to_stop(self) -> None:
        if self.received == signal.SIGINT:
            os.write(2, b"\nCtrl-C: stopping after this step, with a checkpoint; once more to stop at once\n")


class StopAtOnce(StopSignals):
    """For what has nothing to save: the first signal raises a StoppedError, wherever the process is."""

    def __init__(self):
        super().__init__()
        self._is_stopping = False

    def _begin_to_stop(self) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            raise StoppedError(f"stopped by {self.received.name}, with nothing written")


class LossWatch:
    """Finds a loss that is not finite without waiting for the device at every step.

    On a GPU a loss is copied to the host behind the step's other work and looked at when it has arrived, a step or two
    later; `settle` waits, so that no checkpoint is written on top of a bad step.
    """

    def __init__(self):
        self._pending: deque[tuple[int, list[str], Tensor, torch.cuda.Event | None]] = deque()
        # Optimizer step of the first bad loss, and the question ids of its batches that have one.
        self.bad: tuple[int, list[str]] | None = None

    def add(self, step: int, qids: Sequence[str], loss: Tensor) -> None:
        loss, arrived = loss.detach(), None
        if loss.is_cuda:
            host = torch.empty((), dtype=loss.dtype, pin_memory=True)
            host.copy_(loss, non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record()
            loss = host
        self._pending.append((step, list(qids), loss, arrived))

    def look(self) -> None:
        """Looks at the losses that have arrived."""
        while self._pending and (self._pending[0][3] is None or self._pending[0][3].query()):
            step, qids, loss, _ = self._pending.popleft()
            if torch.isfinite(loss):
                continue
            if self.bad is None:
                self.bad = (step, qids)
            elif self.bad[0] == step:
                self.bad[1].extend(qids)

    def settle(self) -> None:
        """Waits for all, and looks at them."""
        if self._pending and self._pending[-1][3] is not None:
            self._pending[-1][3].synchronize()
        self.look()


_FIRST_RANK = "DEST_FIRST_RANK_PID"


def follow_first_rank() -> None:
    """Lets a rank that another has started end when that one is gone; called by each before it waits for the others.

    The first rank starts the others of its machine where neither torchrun nor SLURM does, and Lightning sees to it that
    they take it with them. The other way round nobody does: while a rank connects, and on GPUs, it would wait for half
    an hour.
    """
    if "LOCAL_RANK" not in os.environ:
        os.environ[_FIRST_RANK] = str(os.getpid())  # for those that it may start
    elif _FIRST_RANK in os.environ and os.environ["LOCAL_RANK"] != "0" and "TORCHELASTIC_RUN_ID" not in os.environ:
        first = int(os.environ[_FIRST_RANK])
        threading.Thread(target=_end_with_parent, args=(first,), name="follow-first-rank", daemon=True).start()


def _end_with_parent(pid: int) -> None:
    while os.getppid() == pid:
        time.sleep(1)
    os._exit(1)
