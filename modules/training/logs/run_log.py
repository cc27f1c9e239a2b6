"""Logs beside loss and accuracy: rates, speed, memory, the settings, and answers to look at."""

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import psutil
import pytorch_lightning as pl
import torch
from PIL import Image, ImageDraw, ImageFont
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from torch.nn import functional as F

from modules.objectives.example import Example

from .boards import Board

EXAMPLES = 4  # questions shown at a validation, each about another video
_MOST_FRAMES, _FRAME_SIZE = 8, 112  # pictures of a video, pixels a side
_STEP_GROWTH = 1.1  # between two validations that show examples, so that logs of many validations stay small
_GIB = 2**30


class RunLog(Callback):
    """Logs rates, throughput and memory as often as Lightning logs the loss, and some answers at a validation.

    - ``lr/<group>``: the learning rate of the step, for each group of parameters.
    - ``speed/questions_per_second``, ``speed/frames_per_second``: of training on all devices since the last row,
      validations left out. Each device is taken to be as fast as the first.
    - ``memory/process_gib`` (the first process), ``memory/machine_percent`` (all that runs on its machine),
      ``memory/gpu_peak_gib`` (allocated on its GPU at most, so far).
    - On a `Board` also the settings as text, and the same few questions of the validation split again and again.

    Nothing is done in between, and nothing waits for the device but the answers to look at. The LightningModule's
    ``example(batch, outputs, data, index)`` gives one of these, with the texts that its data module knows.
    """

    def __init__(self, config: Mapping[str, Any]):
        self.config = config
        self._rates: dict[str, float] = {}
        self._num_questions = self._num_frames = 0
        self._seconds = 0.0
        self._running_since: float | None = None
        self._shown_step = 0
        self._shown_batches: Sequence[int] = ()

    # --- settings

    @rank_zero_only
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for board in _boards(trainer):
            rows = [f"| {name} | {_cell(value)} |" for name, value in self.config.items()]
            table = "\n".join(["| setting | value |", "|---|---|", *rows])
            board.show_text("settings", f"    {shlex.join(sys.argv)}\n\n{table}", trainer.global_step)

    # --- training

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._running_since = time.monotonic()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.global_step + 1) % trainer.log_every_n_steps == 0:
            groups = trainer.optimizers[0].param_groups
            self._rates = {f"lr/{group['name'].removesuffix('_no_decay')}": group["lr"] for group in groups}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._num_questions += len(batch["qids"])
        if "frames" in batch:
            self._num_frames += batch["frames"].shape[0] * batch["frames"].shape[1]
        amid_accumulation = (batch_idx + 1) % trainer.accumulate_grad_batches != 0 and not trainer.is_last_batch
        if amid_accumulation or trainer.global_step % trainer.log_every_n_steps != 0:
            return
        values = {**self._rates, **self._speed(trainer.world_size), **memory(pl_module.device)}
        for logger in trainer.loggers:
            logger.log_metrics(values, step=trainer.global_step - 1)  # as Lightning numbers the step of the loss

    def _speed(self, num_devices: int) -> dict[str, float]:
        """Speed since the last call."""
        now = time.monotonic()
        seconds = self._seconds + now - self._running_since
        speed = {"speed/questions_per_second": num_devices * self._num_questions / seconds}
        if self._num_frames:
            speed["speed/frames_per_second"] = num_devices * self._num_frames / seconds
        self._num_questions = self._num_frames = 0
        self._seconds, self._running_since = 0.0, now
        return speed

    # --- validation

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._running_since is not None:
            self._seconds += time.monotonic() - self._running_since
        self._shown_batches = ()
        grown = trainer.global_step >= _STEP_GROWTH * self._shown_step
        if trainer.is_global_zero and not trainer.sanity_checking and grown and any(_boards(trainer)):
            self._shown_step = trainer.global_step
            batches = int(trainer.num_val_batches[0])
            self._shown_batches = np.unique(np.arange(EXAMPLES) * batches // EXAMPLES).tolist()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx not in self._shown_batches:
            return
        number = self._shown_batches.index(batch_idx)
        index = number * len(batch["qids"]) // EXAMPLES  # not the first of each: it asks about the same everywhere
        example = pl_module.example(batch, outputs, index)
        name = f"examples/{number}"
        for board in _boards(trainer):
            if example.frames is None:
                board.show_text(name, example.caption().replace("\n", "\n\n"), trainer.global_step)
            else:
                board.show_picture(name, draw(example), trainer.global_step)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._running_since is not None:
            self._running_since = time.monotonic()


def memory(device: torch.device) -> dict[str, float]:
    """Memory that the process, its machine and its GPU use; asks no GPU to finish its work."""
    values = {
        "memory/process_gib": psutil.Process().memory_info().rss / _GIB,
        "memory/machine_percent": psutil.virtual_memory().percent,
    }
    if device.type == "cuda":
        values["memory/gpu_peak_gib"] = torch.cuda.max_memory_allocated(device) / _GIB
    return values


def draw(example: Example) -> np.ndarray:
    """The frames of an example in a row (a few of them, if there are many), with its caption below: uint8 [H, W, 3]."""
    chosen = np.unique(np.linspace(0, len(example.frames) - 1, _MOST_FRAMES).round().astype(int))
    frames = F.interpolate(example.frames[chosen].float(), (_FRAME_SIZE, _FRAME_SIZE), mode="area")
    row = frames.round().byte().permute(2, 0, 3, 1).reshape(_FRAME_SIZE, -1, 3).cpu().numpy()  # [S, F S, 3]
    font = ImageFont.load_default(size=14)
    caption = example.caption()
    pen = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    _, _, right, bottom = pen.multiline_textbbox((8, 6), caption, font=font)
    picture = Image.new("RGB", (max(row.shape[1], int(right) + 8), _FRAME_SIZE + int(bottom) + 8), "white")
    picture.paste(Image.fromarray(row), (0, 0))
    ImageDraw.Draw(picture).multiline_text((8, _FRAME_SIZE + 6), caption, fill="black", font=font)
    return np.asarray(picture)


def _boards(trainer: pl.Trainer) -> list[Board]:
    return [logger for logger in trainer.loggers if isinstance(logger, Board)]


def _cell(value: Any) -> str:
    return f"`{value}`".replace("|", "\\|")
