"""Ends of a run before its end: a signal, a loss that is not finite, or the end of another of its processes."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from modules.config.rank_environment import FIRST_RANK

from .private import rank_observer

# What schedulers send before they kill (SIGTERM), what SLURM sends on request (SIGUSR1), and Ctrl-C.
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
STOPPED_EXIT_CODE = 75  # "temporary failure, try again" in sysexits.h: the run can be resumed


def _leave_to_parent() -> None:
    """Lets a forked worker keep the signals that it receives from its parent."""
    with contextlib.suppress(ValueError):
        signal.set_wakeup_fd(-1)


os.register_at_fork(after_in_child=_leave_to_parent)


class StoppedError(Exception):
    """A signal asked the run to stop; in training a checkpoint has been written."""


class StopSignals:
    """Remembers that a signal came, so that the step at hand can be finished and a checkpoint written.

    A context manager: within it the signals do nothing else. A second Ctrl-C ends the process at once, whatever the
    process waits for. So does the first signal, after some seconds, while there is nothing to save.
    """

    way_on = "continue with resume_from=last"

    def __init__(self):
        self.received: signal.Signals | None = None
        self.may_save = False  # training has begun
        self._pid = os.getpid()
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopSignals":
        self._previous = {number: signal.getsignal(number) for number in SIGNALS}
        self.install()
        self._arrived, arriving = socket.socketpair()
        arriving.setblocking(False)
        self._previous_arriving = signal.set_wakeup_fd(arriving.fileno(), warn_on_full_buffer=False)
        self._arriving = arriving
        _start_thread("watch-signals", self._watch, self._arrived)
        return self

    def __exit__(self, *_: Any) -> None:
        signal.set_wakeup_fd(self._previous_arriving)
        self._arriving.close()  # which ends the thread
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def install(self) -> None:
        """Takes the signals, once more if another library has taken them since."""
        self._pid = os.getpid()
        for number in SIGNALS:
            signal.signal(number, self._handle)

    def _watch(self, arrived: socket.socket) -> None:
        """Sees to signals in a thread: Python's handlers run when PyTorch has done waiting for another rank."""
        interrupts, deadline = 0, None
        while True:
            arrived.settimeout(None if deadline is None else max(deadline - time.monotonic(), 0.001))
            try:
                numbers = arrived.recv(64)
            except TimeoutError:
                if not self._is_heeded():
                    os.write(2, b"stopped by a signal, with nothing written; start it again\n")
                    os._exit(STOPPED_EXIT_CODE)
                deadline = None
                continue
            if not numbers:
                return
            interrupts += numbers.count(signal.SIGINT)
            if interrupts > 1:
                os._exit(128 + signal.SIGINT)
            if deadline is None and not self.may_save and set(numbers) & set(SIGNALS):
                deadline = time.monotonic() + _TIME_TO_REACT

    def _is_heeded(self) -> bool:
        """True if the process will end in order: in training, after the step at hand."""
        return self.may_save

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
    """Signals to a command that has nothing to save: the first one raises a StoppedError, wherever the process is."""

    way_on = "start it again"

    def __init__(self):
        super().__init__()
        self._is_stopping = False

    def _is_heeded(self) -> bool:
        return self._is_stopping

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


_TIME_TO_REACT = 10.0  # seconds in which a signal before training should have been heeded
_GRACE = 10.0  # seconds in which a process that misses another may end by itself, with an error of its own
_LONG_GRACE = 30.0  # the same for one that was asked to stop, or has said why it ends


@contextlib.contextmanager
def watch_ranks(signals: StopSignals) -> Iterator[None]:
    """Ends the processes of a run on this machine when one of them dies, and says which.

    The first rank starts the others where neither torchrun nor SLURM does. While a rank connects, and on GPUs, it would
    wait for half an hour for one that is gone; in a test it would not notice.

    Args:
        signals: what asks to stop; ranks that were asked need not say that they miss another.
    """
    left = threading.Event()
    children: list[subprocess.Popen] = []

    def observe(started: list[subprocess.Popen]) -> None:
        children.extend(started)
        _start_thread("watch-ranks", _end_with_child, started, signals, left)

    if "LOCAL_RANK" not in os.environ:
        os.environ[FIRST_RANK] = str(os.getpid())  # for those that it may start
    elif FIRST_RANK in os.environ and os.environ["LOCAL_RANK"] != "0" and "TORCHELASTIC_RUN_ID" not in os.environ:
        _start_thread("watch-ranks", _end_with_parent, int(os.environ[FIRST_RANK]), signals, left)
    try:
        with rank_observer(observe):
            yield
    except BaseException as error:
        left.set()
        _end_children(children, error)
        raise
    finally:
        left.set()


def _start_thread(name: str, target: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(target=target, args=arguments, name=name, daemon=True).start()


def _end_with_parent(pid: int, signals: StopSignals, left: threading.Event) -> None:
    while os.getppid() == pid:
        time.sleep(1)
    _end_soon(f"rank 0 (process {pid}) is gone", signals, left)


def _end_with_child(children: list[subprocess.Popen], signals: StopSignals, left: threading.Event) -> None:
    while not (ends := failed_ranks(children)):
        if all(child.returncode == 0 for child in children):
            return
        time.sleep(1)
    _end_soon(ends[0], signals, left, children)


def failed_ranks(children: list[subprocess.Popen]) -> list[str]:
    """Descriptions of the processes that have ended with an error, or were killed."""
    first = int(os.environ.get("NODE_RANK", "0")) * (len(children) + 1) + 1
    names = {-number: f"was killed by {number.name}" for number in signal.Signals}
    return [
        f"rank {rank} (process {child.pid}) {names.get(child.returncode, f'ended with code {child.returncode}')}"
        for rank, child in enumerate(children, first)
        if child.poll()
    ]


def _end_soon(
    what: str, signals: StopSignals, left: threading.Event, children: Sequence[subprocess.Popen] = ()
) -> None:
    """Ends this process and its children, unless it does so by itself."""
    if left.wait(_GRACE if signals.received is None else _LONG_GRACE):
        time.sleep(_LONG_GRACE)
    else:
        line = (
            f"error: {what}; its error, if it had one, stands above; if memory was short, lower num_workers or "
            f"per_gpu_batchsize; {signals.way_on}\n"
        )
        with contextlib.suppress(OSError):
            os.write(2, line.encode())
    for child in children:
        child.kill()
    os._exit(2 if signals.received is None else STOPPED_EXIT_CODE)


def _end_children(children: list[subprocess.Popen], error: BaseException) -> None:
    """Ends the other ranks after an error of the first; those that fail by themselves meanwhile are named in it."""
    deadline = time.monotonic() + 2
    while any(child.poll() is None for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    for end in failed_ranks(children):
        error.add_note(end)
    for child in children:
        child.kill()
