"""Output of a run: a bar on a terminal, lines in a log file, nothing that cannot be acted on."""

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, TQDMProgressBar
from pytorch_lightning.callbacks import ProgressBar as LightningProgressBar
from pytorch_lightning.utilities.rank_zero import rank_zero_only


def progress_callback() -> LightningProgressBar:
    """A bar for people at a terminal, lines for log files."""
    return ProgressBar() if sys.stdout and sys.stdout.isatty() and _terminal_width() else ProgressLines()


def _terminal_width() -> int:
    """Columns; some terminals that no window belongs to have none."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except OSError:
        return 0


def describe(what: str, metrics: Mapping[str, float]) -> str:
    """A line of a log: what happened, and numbers."""
    return what + "".join(f"  {name} {value:.4g}" for name, value in metrics.items())


def metrics_of(trainer: pl.Trainer, stage: str) -> dict[str, float]:
    """Loss and accuracy of "train" or "val", read from the device.

    Not what Lightning has for its bar (`prog_bar`): that it reads in every batch, shown or not.
    """
    metrics = trainer.callback_metrics
    return {name: float(metrics[name]) for name in (f"{stage}/loss", f"{stage}/accuracy") if name in metrics}


class ProgressBar(TQDMProgressBar):
    """Lightning's bar with loss and accuracy, and above it a line for each validation.

    Args:
        seconds: between two looks at the loss, for which the device is waited for.
    """

    def __init__(self, seconds: float = 5.0):
        super().__init__()
        self.seconds = seconds
        self._shown: dict[str, Any] = {}
        self._last_time: float | None = None

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        now = time.monotonic()
        if self._last_time is None or now - self._last_time >= self.seconds or trainer.is_last_batch:
            self._shown, self._last_time = metrics_of(trainer, "train"), now
        return self._shown

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_validation_end(trainer, pl_module)
        if not trainer.sanity_checking:
            self.print(describe(f"validation after step {trainer.global_step}", metrics_of(trainer, "val")))


class ProgressLines(LightningProgressBar):
    """A line every few seconds of training and prediction, and one for each validation.

    Args:
        seconds: between two lines of one stage.
    """

    def __init__(self, seconds: float = 10.0):
        super().__init__()
        self.seconds = seconds
        self._last_time = 0.0

    def enable(self) -> None:
        """Called on rank 0; `_say` sees to the others by itself."""

    def disable(self) -> None:
        """Called on the other ranks."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._last_time = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._is_time() or trainer.is_last_batch:
            batches = trainer.num_training_batches
            self._say(
                f"epoch {trainer.current_epoch}  batch {batch_idx + 1}/{batches}  step {trainer.global_step}",
                metrics_of(trainer, "train"),
            )

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            self._say(f"validation after step {trainer.global_step}", metrics_of(trainer, "val"))

    def on_predict_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        total = trainer.num_predict_batches[0]
        if self._is_time() or batch_idx + 1 == total:
            self._say(f"prediction  batch {batch_idx + 1}/{total}", {})

    def _is_time(self) -> bool:
        now = time.monotonic()
        if now - self._last_time < self.seconds:
            return False
        self._last_time = now
        return True

    @rank_zero_only
    def _say(self, what: str, metrics: Mapping[str, float]) -> None:
        print(describe(what, metrics), flush=True)


class RunSummary(Callback):
    """Says at the start what runs, or that nothing is left to run, and keeps the settings with the logs."""

    def __init__(self, config: dict[str, Any]):
        self.config = config
        self._began = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for logger in trainer.loggers:
            logger.log_hyperparams(self.config)

    def on_train_batch_start(self, *_: Any) -> None:
        self._began = True

    @rank_zero_only
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.ckpt_path is not None and not self._began:
            length = "max_epoch" if self.config["max_steps"] is None else "max_steps"
            print(
                f"{trainer.ckpt_path} is of a run that has finished, after step {trainer.global_step}: nothing is left "
                f"to do; to train it further, give a larger {length} (it is {self.config[length]}), to train anew, "
                "leave out resume_from"
            )

    @rank_zero_only
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        parameters = list(pl_module.parameters())
        trained = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
        whole = sum(parameter.numel() for parameter in parameters)
        print(f"{whole:,} parameters, {trained:,} of them trained")
        devices = f" on each of {trainer.world_size} devices" if trainer.world_size > 1 else ""
        print(
            f"{trainer.num_training_batches} batches per epoch{devices}, {trainer.accumulate_grad_batches} to a step; "
            f"{int(trainer.estimated_stepping_batches)} steps in all"
            + (f", continuing after step {trainer.global_step}" if trainer.global_step else "")
        )
        if not trainer.fast_dev_run:
            print(f"logs and checkpoints: {trainer.default_root_dir}", flush=True)
