"""Schedule of validations, counted in optimizer steps, so that it is the same on any number of GPUs."""

import math
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.rank_zero import rank_zero_only

_NEVER = 2**62  # batches


def validation_follows(trainer: pl.Trainer) -> bool:
    """True if `ValidationSchedule` has one follow the batch that has just ended."""
    return trainer.val_check_batch == 1


class ValidationSchedule(Callback):
    """Validates every so many optimizer steps, or after every so large a share of an epoch.

    Lightning counts batches. That would put a validation amid accumulated gradients, which no checkpoint holds, and
    would move it when the number of GPUs changes.

    Args:
        val_check_interval: steps (int; counted over all epochs), or the share (float; the last one ends the epoch).
    """

    def __init__(self, val_check_interval: int | float):
        self.interval = val_check_interval

    def is_due(self, step: int, step_in_epoch: int, steps_per_epoch: int) -> bool:
        """True if a validation follows a step; steps count from 1."""
        if isinstance(self.interval, int):
            return step > 0 and step % self.interval == 0

        def passed(steps: int) -> int:
            # The last step is a whole number of shares only up to rounding.
            return math.floor(steps / (self.interval * steps_per_epoch) + 1e-6)

        return step_in_epoch > 0 and passed(step_in_epoch) > passed(step_in_epoch - 1)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # A run that resumes right before or after a validation must find it due; the loop knows which of the two.
        self._decide(trainer, trainer.fit_loop.epoch_loop.batch_progress.current.ready)
        steps = trainer.estimated_stepping_batches
        first = self.interval if isinstance(self.interval, int) else self.interval * self._steps_per_epoch(trainer)
        if first > steps and not trainer.fast_dev_run:
            rank_zero_only(print)(
                f"no validation in this run, and no best.ckpt: val_check_interval={self.interval} is more than its "
                f"{steps:.0f} steps",
                flush=True,
            )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._decide(trainer, batch_idx + 1)

    @staticmethod
    def _steps_per_epoch(trainer: pl.Trainer) -> int:
        return math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)

    def _decide(self, trainer: pl.Trainer, batches: int) -> None:
        accumulated, total = trainer.accumulate_grad_batches, trainer.num_training_batches
        is_step = batches % accumulated == 0 or batches == total
        place = math.ceil(batches / accumulated), self._steps_per_epoch(trainer)
        due = batches > 0 and is_step and self.is_due(trainer.global_step, *place)
        trainer.val_check_batch = 1 if due else _NEVER  # Lightning validates when it divides the number of batches
