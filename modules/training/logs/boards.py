"""Boards for curves and examples: TensorBoard, Weights & Biases."""

import contextlib
import os
from pathlib import Path

import numpy as np
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only


class TensorBoard(TensorBoardLogger):
    """TensorBoard's log in a run's folder.

    Args:
        purge_step: of a resumed run, where it continues: what was logged from there on counts no more.
    """

    def __init__(self, folder: Path, purge_step: int | None):
        parent, name, version = folder.parent.parent, folder.parent.name, folder.name
        super().__init__(parent, name, version, default_hp_metric=False, purge_step=purge_step)

    @rank_zero_only
    def show_text(self, name: str, text: str, step: int) -> None:
        self.experiment.add_text(name, text, step)

    @rank_zero_only
    def show_picture(self, name: str, picture: np.ndarray, step: int) -> None:
        self.experiment.add_image(name, picture, step, dataformats="HWC")

    def finalize(self, status: str) -> None:
        # What ended a run that failed is to be told, not that its log could not be written either.
        with contextlib.suppress(*([OSError] if status == "failed" else [])):
            super().finalize(status)


class WandbBoard(WandbLogger):
    """A run of Weights & Biases, whose files lie in the run's folder, too; W&B's own variables say where it is sent.

    Args:
        folder: of the run. If W&B has written there, its run is continued.
    """

    def __init__(self, folder: Path):
        before = sorted(folder.glob("wandb/*run-*/run-*.wandb"))
        super().__init__(
            name=f"{folder.parent.name}/{folder.name}",
            save_dir=folder,
            id=before[-1].stem.removeprefix("run-") if before else None,
            project=os.environ.get("WANDB_PROJECT", "dest"),
        )

    @rank_zero_only
    def show_text(self, name: str, text: str, step: int) -> None:
        self.log_text(name, ["text"], [[text]], step=step)

    @rank_zero_only
    def show_picture(self, name: str, picture: np.ndarray, step: int) -> None:
        self.log_image(name, [picture], step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self._experiment is not None:
            self._experiment.finish(exit_code=int(status == "failed"))


# A logger that shows texts, in Markdown, and pictures, uint8 [H, W, 3], too.
Board = TensorBoard | WandbBoard
