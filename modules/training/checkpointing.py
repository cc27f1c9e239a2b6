"""Checkpoints of a training run: best, last and previous, each whole or absent.

Every checkpoint is one from which the run continues exactly: it is written between two optimizer steps, and a
validation that was due is made up for. (Lightning's own `ModelCheckpoint` also saves amid accumulated gradients, and
skips a validation that a kill interrupted.)
"""

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from datasets.errors import InputError
from datasets.files import atomic_write, sync_folder
from modules.objectives.host_group import is_distributed

from .private import ignore_sigterm
from .settings import CheckpointSettings, TrainingSettings
from .stopping import LossWatch, StoppedError, StopSignals
from .validation_schedule import validation_follows

_LONG_VALIDATION = 300.0  # seconds; what took less is repeated if the run is killed soon after


class AtomicCheckpointIO(TorchCheckpointIO):
    """A checkpoint appears when all of it is on the disk; what stood there before stays until then."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike, storage_options: Any | None = None
    ) -> None:
        with atomic_write(path, "wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:
                # torch's zip writer hides the disk's own error (a full disk) behind one of its own.
                raise error.__context__ or error from None

    def load_checkpoint(
        self, path: str | os.PathLike, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        # Memory-mapped, and never more than weights and plain values: a pickle could name any function.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


class Checkpoints(Checkpoint):
    """Writes checkpoints and, with them at hand, ends a run in order.

    - ``last.ckpt``: every `every_steps` optimizer steps and `every_minutes`, before each validation (and after it, if
      it took so long that it should not be lost), at the end, and when a signal asks to stop. Its predecessor stays as
      ``previous.ckpt``, if the run has come by it.
    - ``best.ckpt``: the best `monitor` so far.

    An optimizer step whose loss or gradient is not finite on some rank is left out (weights, momentum and so on stay as
    they are; the schedule goes on), up to `skip_bad_steps` times in a run. One more ends it.

    Raises, from within training:
        StoppedError: SIGTERM, SIGUSR1 or Ctrl-C came, on any rank.
        InputError: the loss is not finite on some rank, or the weights no longer are.

    Args:
        skip_bad_steps: see above; not 0: every step waits for its loss.
        monitor: metric of the validation, higher is better.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        signals: StopSignals | None = None,
        checkpoint_steps: int = CheckpointSettings.checkpoint_steps,
        checkpoint_minutes: float | None = CheckpointSettings.checkpoint_minutes,
        skip_bad_steps: int = TrainingSettings.skip_bad_steps,
        monitor: str = "val/accuracy",
    ):
        self.folder = Path(folder)
        self.every_steps = checkpoint_steps
        self.every_seconds = None if checkpoint_minutes is None else 60 * checkpoint_minutes
        self.skip_bad_steps = skip_bad_steps
        self.monitor = monitor
        self.skipped = 0
        self.best_score: float | None = None
        self.best_step: int | None = None
        self.signals = signals if signals is not None else StopSignals()
        self.losses = LossWatch()
        self._qids: list[str] = []  # of the batch at hand
        self._keeps_last = False  # whether last.ckpt is this run's own state, and not one passed over on resuming
        self._saved_step = 0
        self._saved_time = time.monotonic()
        self._in_validation = False
        self._lacks_validation = False  # last.ckpt: when the run goes on from it, the validation comes again
        self._host_group: dist.ProcessGroup | None = None

    # --- state -------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        return {"best_score": self.best_score, "best_step": self.best_step, "skipped": self.skipped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_score, self.best_step = state_dict["best_score"], state_dict["best_step"]
        self.skipped = state_dict.get("skipped", 0)  # checkpoints of earlier versions do not count

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # One batch begun more than completed is to Lightning "killed in the first batch of this validation": it starts
        # the validation again. What a kill before has left in the counts would hide that.
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"]
        for counter in (progress["total"], progress["current"]):
            counter["ready"] = counter["started"] = counter["completed"] + self._in_validation
            counter["processed"] = counter["completed"]

    # --- training ----------------------------------------------------------------------------------------------------

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._host_group = pl_module.host_group  # agreement between hosts, without waiting for GPUs
        if is_distributed():
            folder = [self.folder]  # only the first rank has made sure that it is new
            dist.broadcast_object_list(folder, group=self._host_group)
            self.folder = folder[0]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero and not trainer.fast_dev_run:
            self._remove_partial()
        last = os.path.realpath(self.folder / "last.ckpt")
        self._keeps_last = trainer.ckpt_path is not None and os.path.realpath(trainer.ckpt_path) == last
        self._saved_step = trainer.global_step
        self._saved_time = time.monotonic()
        # Lightning has installed handlers of its own by now, which would end the run without a checkpoint.
        self.signals.install()
        self.signals.may_save = True
        ignore_sigterm(trainer)  # `_agree` sees to it

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, *_: Any) -> None:
        self._qids = batch["qids"]

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        self.losses.add(trainer.global_step + 1, self._qids, loss)

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        if not self.skip_bad_steps:
            return
        self.losses.settle()
        # A float16 scaler sees to its gradients by itself: that some overflow is how it finds its scale.
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        gradients = [weight.grad for weight in pl_module.parameters() if weight.grad is not None]
        bad_gradient = not scaled and not torch.isfinite(get_total_norm(gradients))
        bad_loss, bad_gradient = self._agree(self.losses.bad is not None, bad_gradient)
        if bad_loss or bad_gradient:
            if self.skipped == self.skip_bad_steps:
                self._report_bad_loss(trainer, "loss" if bad_loss else "gradient")
            self._skip_step(trainer, optimizer, "loss" if bad_loss else "gradient", scaled)
        pl_module.log("train/skipped", float(self.skipped), batch_size=1)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches != 0 and not trainer.is_last_batch:
            return  # no checkpoint holds the gradients so far
        self.losses.look()
        stop, late, bad = self._agree(
            self.signals.received is not None,
            self.every_seconds is not None and time.monotonic() - self._saved_time >= self.every_seconds,
            self.losses.bad is not None,
        )
        if bad:
            self._report_bad_loss(trainer)
        if trainer.is_last_batch or validation_follows(trainer):
            return  # seen to at its start, or after the first step of the next epoch
        if stop or late or trainer.global_step - self._saved_step >= self.every_steps:
            self._save_last(trainer)
        if stop:
            self._stop(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        self._in_validation = True
        self._save_last(trainer)
        self._in_validation = False
        (stop,) = self._agree(self.signals.received is not None)
        if stop:
            self._stop(trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        # No agreement here, where ranks have different numbers of batches, and no need of one: the checkpoint of the
        # validation's start is there. Rank 0 may leave at once, and takes those with it that it has started; others
        # have been signalled, like it, by the scheduler that started them.
        if self.signals.received is None or trainer.sanity_checking:
            return
        if trainer.is_global_zero:
            if trainer.strategy.launcher is not None:
                trainer.strategy.launcher.kill(signal.SIGKILL)
            self._stop(trainer)
        elif not isinstance(trainer.strategy.cluster_environment, LightningEnvironment):
            self._stop(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        score = trainer.callback_metrics[self.monitor].item()
        is_best = self.best_score is None or score > self.best_score
        if is_best:
            self.best_score, self.best_step = score, trainer.global_step
        # The weights are those of its start, which last.ckpt has. What it would lack is this validation.
        stop, late = self._agree(
            self.signals.received is not None, time.monotonic() - self._saved_time >= _LONG_VALIDATION
        )
        # Before a last.ckpt that knows this score: a kill in between must not leave the score without its weights.
        if is_best and trainer.is_global_zero and not trainer.fast_dev_run:
            _share(self.folder / "last.ckpt", self.folder / "best.ckpt")
        if stop or late:
            self._save_last(trainer)
        if stop:
            self._stop(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step > self._saved_step or self._lacks_validation:
            self._save_last(trainer)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero and self.best_step is not None and not trainer.fast_dev_run:
            print(
                f"best {self.monitor} {self.best_score:.4g}, after step {self.best_step}: {self.folder / 'best.ckpt'}"
            )

    # --- parts -------------------------------------------------------------------------------------------------------

    def _remove_partial(self) -> None:
        """Removes what a run that was killed while it wrote has left; each file may be as large as a checkpoint."""
        for path in self.folder.glob(".*.tmp"):
            path.unlink(missing_ok=True)

    def _agree(self, *flags: bool) -> list[bool]:
        """Tells for each flag whether it is set on any rank. Called by all ranks at the same point."""
        if not is_distributed():
            return list(flags)
        votes = torch.tensor(flags, dtype=torch.int32)
        dist.all_reduce(votes, op=dist.ReduceOp.MAX, group=self._host_group)
        return [bool(vote) for vote in votes]

    def _save_last(self, trainer: pl.Trainer) -> None:
        self.losses.settle()
        (bad,) = self._agree(self.losses.bad is not None)
        if bad:
            self._report_bad_loss(trainer)
        trained = [weight.detach() for weight in trainer.lightning_module.parameters() if weight.requires_grad]
        if not torch.isfinite(get_total_norm(trained)):
            self._end_badly(f"the weights are not finite after step {trainer.global_step}")
        self._saved_step, self._saved_time = trainer.global_step, time.monotonic()
        self._lacks_validation = self._in_validation
        if trainer.fast_dev_run:
            return
        for logger in trainer.loggers:
            logger.save()  # what is logged up to here must not be lost with the process
        trainer.save_checkpoint(self.folder / "next.ckpt")
        if trainer.is_global_zero:
            last = self.folder / "last.ckpt"
            if self._keeps_last and last.exists():
                last.replace(self.folder / "previous.ckpt")
            (self.folder / "next.ckpt").replace(last)
            sync_folder(self.folder)
            self._keeps_last = True

    def _stop(self, trainer: pl.Trainer) -> None:
        name = self.signals.received.name if self.signals.received is not None else "a signal to another rank"
        raise StoppedError(f"stopped by {name} after step {trainer.global_step}")

    def _skip_step(self, trainer: pl.Trainer, optimizer: Optimizer, what: str, scaled: bool) -> None:
        step, questions = self._bad_step(trainer)
        self.skipped += 1
        self.losses.bad = None
        if scaled and optimizer.defaults.get("fused"):
            # A fused optimizer undoes the scale itself: the scaler has yet to look for gradients that are not finite,
            # and insists on gradients to look at. It then leaves the step out, and lowers its scale as after overflows.
            for group in optimizer.param_groups:
                for weight in group["params"]:
                    if weight.grad is not None:
                        weight.grad.fill_(torch.inf)
        else:
            optimizer.zero_grad(set_to_none=True)  # an optimizer leaves alone what has no gradient
        if trainer.is_global_zero:
            say = trainer.progress_bar_callback.print if trainer.progress_bar_callback is not None else print
            say(
                f"step {step} is left out: its {what} is not finite{questions}; "
                f"{self.skipped} of at most {self.skip_bad_steps} (skip_bad_steps)"
            )

    def _bad_step(self, trainer: pl.Trainer) -> tuple[int, str]:
        """The first step whose loss is not finite, and in words the questions of the batches that it comes from."""
        found = [self.losses.bad]
        if is_distributed():
            found = [None] * dist.get_world_size()
            dist.all_gather_object(found, self.losses.bad, group=self._host_group)
        bad = [entry for entry in found if entry is not None]
        if not bad:  # a gradient alone
            return trainer.global_step + 1, ""
        first = min(step for step, _ in bad)
        qids = [qid for step, own in bad if step == first for qid in own]
        shown = ", ".join(qids[:8]) + (f" and {len(qids) - 8} more" if len(qids) > 8 else "")
        return first, f" (questions {shown})"

    def _report_bad_loss(self, trainer: pl.Trainer, what: str = "loss") -> None:
        step, questions = self._bad_step(trainer)
        before = f", after {self.skipped} that had been left out" if self.skipped else ""
        self._end_badly(f"the {what} is not finite at step {step}{questions}{before}")

    def _end_badly(self, what: str) -> None:
        """Raises on every rank; called by all of them."""
        last = self.folder / "last.ckpt"
        checkpoint = f"the last good checkpoint is {last}" if last.exists() else "no checkpoint had been written yet"
        ways = "lower learning_rate, or use precision=bf16 or 32 instead of 16"
        if not self.skip_bad_steps:
            ways += "; skip_bad_steps=N leaves out up to N steps"
        message = f"{what}; {checkpoint}; {ways}"
        if not dist.is_initialized() or dist.get_rank() == 0:
            raise InputError(message)
        raise StoppedError(message)  # rank 0 speaks for all


def _share(source: Path, target: Path) -> None:
    """Gives a file a second name, without a moment in which `target` is missing or half there."""
    beside = target.with_name(f".{target.name}.tmp")
    beside.unlink(missing_ok=True)
    try:
        os.link(source, beside)
    except OSError:  # a file system without hard links
        with source.open("rb") as whole, atomic_write(target, "wb") as copy:
            shutil.copyfileobj(whole, copy, 1 << 24)
        return
    beside.replace(target)
    beside.unlink(missing_ok=True)  # a rename between two names of one file does nothing
    sync_folder(target.parent)
