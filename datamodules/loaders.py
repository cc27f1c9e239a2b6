"""Loading batches in worker processes, in an order that a run can enter in the middle of an epoch."""

import ctypes
import functools
import multiprocessing
import multiprocessing.util
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from datasets.errors import InputError


class Batches(Protocol):
    """A sampler of the batches of one process, as in `datamodules.samplers`."""

    @property
    def fingerprint(self) -> dict[str, int]:
        """All that the order depends on, by the names that users know."""

    def __len__(self) -> int:
        """Batches per epoch."""

    def batches(self, epoch: int, skip: int = 0) -> Iterator[list]:
        """The requests of an epoch, without the first `skip`."""


class ReadableDataset(Protocol):
    def read(self, request: list) -> Sequence:
        """The samples of one request."""


class ResumableLoader:
    """Loads the batches of one process, one epoch an iteration.

    Where an iteration begins is asked for when its first batch is: `position` then tells the epoch and how many of its
    batches are done. So a run that starts again in the middle of an epoch reads nothing twice and skips nothing; its
    trainer's own count of batches is all that it needs. The state that goes into a checkpoint only serves to refuse a
    count that means other batches now. Batches come in the same order for any number of workers.
    """

    def __init__(
        self,
        dataset: ReadableDataset,
        collate: Callable[[Sequence], Any],
        batches: Batches,
        num_workers: int = 0,
        pin_memory: bool = False,
        position: Callable[[], tuple[int, int]] = lambda: (0, 0),
        multiprocessing_context: str | None = None,
    ):
        """
        Args:
            num_workers: processes that load; they live as long as this loader. 0: load in this process.
            pin_memory: whether batches come in page-locked memory, for a faster way to the GPU.
            position: tells (epoch, batches done) at the start of an iteration.
            multiprocessing_context: how workers start, "fork" or "spawn"; None: the platform's default.
        """
        self.dataset, self.batches = dataset, batches
        self._position = position
        self._saved_fingerprint: dict[str, int] | None = None
        self._requests = _Requests(batches)
        over = multiprocessing.get_context(multiprocessing_context).RawValue(ctypes.c_bool, False)
        # Before multiprocessing, at the exit of this process, sends SIGTERM to the workers that are left and waits.
        multiprocessing.util.Finalize(self, setattr, (over, "value", True), exitpriority=10)
        self._loader = DataLoader(
            _BatchReader(dataset, collate),
            batch_size=None,  # a request already is a batch
            sampler=self._requests,
            collate_fn=_as_it_is,
            num_workers=num_workers,
            pin_memory=pin_memory,
            persistent_workers=num_workers > 0,
            worker_init_fn=functools.partial(init_worker, over=over),
            multiprocessing_context=multiprocessing_context if num_workers > 0 else None,
        )

    def __len__(self) -> int:
        """Batches a whole epoch."""
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        """Yields batches.

        Raises:
            InputError: data that is missing or damaged; a start amid an epoch that was another one when it was saved.
        """
        self._requests.epoch, self._requests.skip = self._position()
        if self._requests.skip:
            self._check_fingerprint()
        for batch in self._loader:
            if isinstance(batch, InputError):
                raise batch
            yield batch

    def state_dict(self) -> dict:
        return {"identity": self.batches.fingerprint}

    def load_state_dict(self, state: dict) -> None:
        self._saved_fingerprint = state.get("identity")

    def _check_fingerprint(self) -> None:
        now, saved = self.batches.fingerprint, self._saved_fingerprint
        if saved is not None and saved != now:
            changes = ", ".join(
                f"{name} {saved.get(name)} -> {now[name]}" for name in now if saved.get(name) != now[name]
            )
            raise InputError(
                f"cannot resume in the middle of an epoch after a change of its batches ({changes}): "
                "restore what was changed, or resume from a checkpoint of the end of an epoch"
            )


def init_worker(_: int, over: ctypes.c_bool) -> None:
    """Prepares a worker.

    The workers are the parallelism: nothing in them starts threads of its own. And to stop is for the process that
    trains: terminals and job schedulers signal all processes at once, and a worker that died of it would end the run
    before its last checkpoint. Workers end with their parent, whatever ends it.

    Args:
        over: shared with the parent: whether it has no more use for the worker, which then dies of SIGTERM.
    """
    try:
        os.kill(multiprocessing.parent_process().pid, 0)
    except ProcessLookupError:
        os._exit(1)  # it died while this process was starting, which PyTorch would not notice
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    for number in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0) if over.value else None)


class _Requests:
    """The sampler of a DataLoader: the requests from a position on."""

    def __init__(self, batches: Batches):
        self.batches = batches
        self.epoch = 0
        self.skip = 0

    def __iter__(self) -> Iterator[list]:
        return self.batches.batches(self.epoch, self.skip)

    def __len__(self) -> int:
        return len(self.batches)


class _BatchReader(Dataset):
    """Requests to batches. An InputError takes the place of its batch: raised, it would come out as a traceback."""

    def __init__(self, dataset: ReadableDataset, collate: Callable[[Sequence], Any]):
        self.dataset = dataset
        self.collate = collate

    def __getitem__(self, request: list) -> Any:
        try:
            return self.collate(self.dataset.read(request))
        except InputError as error:
            return InputError(str(error))  # without the chain of causes, which may not travel between processes


def _as_it_is(batch: Any) -> Any:
    return batch
