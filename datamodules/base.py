"""The common part of the data modules: their place among the ranks, and where training begins."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from .loaders import Batches, ReadableDataset, ResumableLoader
from .tokenization import TextTokenizer, load_tokenizer


class EpochDataModule(pl.LightningDataModule):
    """Makes loaders whose training batches begin where the trainer's counts say, and that need no trainer either.

    Attributes:
        start: (epoch, batches done), where training begins when there is no trainer to count them.
    """

    def __init__(self, num_workers: int, tokenizer: str | Path | Sequence[str]):
        super().__init__()
        self.num_workers = num_workers
        self._tokenizer_source = tokenizer
        self.start = (0, 0)

    @cached_property
    def tokenizer(self) -> TextTokenizer:
        return load_tokenizer(self._tokenizer_source)

    def rank_and_number(self) -> tuple[int, int]:
        """Rank of this process, and the number of ranks."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def training_loader(
        self, dataset: ReadableDataset, collate: Callable[[Sequence], Any], batches: Batches
    ) -> ResumableLoader:
        """Loads epoch after epoch; the first from where a resumed run left it."""
        return self._loader(dataset, collate, batches, self._position)

    def inference_loader(
        self, dataset: ReadableDataset, collate: Callable[[Sequence], Any], batches: Batches
    ) -> ResumableLoader:
        """Loads all batches, whatever training is at."""
        return self._loader(dataset, collate, batches, lambda: (0, 0))

    def _loader(self, dataset, collate, batches, position) -> ResumableLoader:
        on_gpu = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        return ResumableLoader(dataset, collate, batches, self.num_workers, pin_memory=on_gpu, position=position)

    def _position(self) -> tuple[int, int]:
        # A trainer that resumes has restored its counts by the time it asks for its first batch.
        if self.trainer is None:
            return self.start
        return self.trainer.current_epoch, self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
