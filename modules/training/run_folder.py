"""The folder of a run, ``<log_dir>/<exp_name>_seed<seed>/version_<k>/``: logs, ``checkpoints/``; and predictions."""

import contextlib
import csv
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from datasets.errors import InputError, explained
from datasets.files import atomic_write
from datasets.writing import locks
from modules.checkpoints.reader import CheckpointFile, read_checkpoint
from modules.config.rank_environment import is_first_rank

from .logs.boards import TensorBoard, WandbBoard

CHECKPOINTS = "checkpoints"
# Names that every run gives; a predictions file named after one of them says whose it is.
COMMON_NAMES = ("best", "last", "previous", "next")
# From which to resume first. A next.ckpt is whole, and was to become last.ckpt when the run was killed.
_NEWEST_FIRST = ("next", "last", "previous", "best")
_ROWS_APART = 100  # steps after which rows of the log are written, if no checkpoint comes before


def experiment_folder(log_dir: str | Path, exp_name: str, seed: int) -> Path:
    return Path(log_dir) / f"{exp_name}_seed{seed}"


def new_run_folder(log_dir: str | Path, exp_name: str, seed: int, fast_dev_run: bool = False) -> Path:
    """The next free ``version_<k>``, made at once, so that a run that starts at the same moment takes the one after it.

    The first rank makes it, the only one that writes there; what the others find is a guess. A `fast_dev_run`, which
    writes nothing, makes none. Raises InputError if it cannot be made.
    """
    folder = experiment_folder(log_dir, exp_name, seed)
    number = max(map(_version, folder.glob("version_*")), default=-1) + 1
    if not fast_dev_run and is_first_rank():
        with explained(f"cannot make a folder in {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
            while True:
                try:
                    (folder / f"version_{number}").mkdir()
                    break
                except FileExistsError:
                    number += 1
    return folder / f"version_{number}"


def _version(folder: Path) -> int:
    match = re.fullmatch(r"version_(\d+)", folder.name)
    return int(match[1]) if match else -1


def sole_writer(folder: Path) -> contextlib.AbstractContextManager[object]:
    """Keeps other runs out of a run's folder, if this is the first rank.

    Raises, when it is entered:
        InputError: another process holds the folder, or nothing can be written there.
    """
    return locks.sole_writer(folder / ".lock", folder) if is_first_rank() else contextlib.nullcontext()


def find_checkpoint(resume_from: str, log_dir: str | Path, exp_name: str, seed: int) -> CheckpointFile | None:
    """The file that `resume_from` (a path, "last" or "auto") means.

    "last" is the newest of the experiment that can be read: a damaged one is reported, and the one before it taken.
    Names tell which is newer, as copying a folder changes times: the newest run first, and of a run its last.

    "auto" is the same of the newest run alone, and None if that has not come to a checkpoint yet: for a job that is
    started again by a scheduler, wherever it was stopped.

    Raises:
        InputError: there is none, or the path given was not written by a training run here.
    """
    if resume_from not in ("last", "auto"):
        return _read_resumable(Path(resume_from))
    folder = experiment_folder(log_dir, exp_name, seed)
    found = sorted(folder.glob(f"version_*/{CHECKPOINTS}/*.ckpt"), key=_newest_first)
    if resume_from == "auto":
        newest = max(map(_version, folder.glob("version_*")), default=-1)
        found = [path for path in found if _version(path.parent.parent) == newest]
    for path in found:
        try:
            return _read_resumable(path)
        except InputError as error:
            rank_zero_only(print)(f"warning: {error}; going back to the checkpoint before it", flush=True)
    if resume_from == "auto" and not found:
        rank_zero_only(print)(f"resume_from=auto: nothing to resume in {folder}; starting anew", flush=True)
        return None
    reason = f"none of its {len(found)} checkpoints can be read" if found else "it holds no checkpoint"
    raise InputError(
        f"resume_from={resume_from}: nothing to resume in {folder}: {reason}; start anew without resume_from"
    )


def _newest_first(path: Path) -> tuple[int, int, str]:
    """Key to sort checkpoints by. Those whose names runs do not give come after the rest of their run."""
    age = _NEWEST_FIRST.index(path.stem) if path.stem in _NEWEST_FIRST else len(_NEWEST_FIRST)
    return -_version(path.parent.parent), age, path.name


def _read_resumable(path: Path) -> CheckpointFile:
    file = read_checkpoint(path)
    if "loops" not in file.others or "optimizer_states" not in file.others or file.metadata is None:
        raise InputError(f"{path} holds weights, but no state of a training run to resume; give it as load_path={path}")
    return file


def run_folder_of(checkpoint: Path) -> Path | None:
    """The run that wrote a checkpoint, or None if it no longer lies in its run's folder."""
    folder = checkpoint.resolve().parent
    return folder.parent if folder.name == CHECKPOINTS and folder.parent.name.startswith("version_") else None


def checkpoint_label(path: str | Path) -> str:
    """Name of a checkpoint within a file name: its stem, and for the names that every run gives also the run's.

    ``anetqa.ckpt`` -> ``anetqa``; ``anetqa_seed0/version_2/checkpoints/best.ckpt`` -> ``anetqa_seed0_version_2_best``.
    """
    path = Path(path).resolve()
    if path.stem not in COMMON_NAMES:
        return path.stem
    folder = path.parent.parent if path.parent.name == CHECKPOINTS else path.parent
    owners = [folder.parent.name, folder.name] if folder.name.startswith("version_") else [folder.name]
    return "_".join([*owners, path.stem])


def predictions_path(
    log_dir: str | Path, objective: str, datasets: Sequence[str], load_path: str | Path, test_split: str = "test"
) -> Path:
    """``<log_dir>/<dataset>_by_<checkpoint>.json``; of another split than test, with its name at the end.

    Pre-training, which mixes datasets, is called by its own name.
    """
    name = "_".join(datasets) if objective != "trm" else objective
    split = "" if test_split == "test" else f"_{test_split}"
    return Path(log_dir) / f"{name}_by_{checkpoint_label(load_path)}{split}.json"


@dataclass(frozen=True)
class LogPosition:
    """The part of a log that stays when the run is resumed from a checkpoint; the rest will be written again."""

    step: int  # optimizer steps done
    validation_is_due: bool  # the validation after the last of them comes again

    @classmethod
    def of(cls, checkpoint: CheckpointFile) -> "LogPosition":
        """The position of a checkpoint of a training run."""
        loops = checkpoint.others["loops"]["fit_loop"]
        validation = loops["epoch_loop.val_loop.batch_progress"]["total"]
        return cls(checkpoint.others["global_step"], validation["ready"] > validation["completed"])

    def holds(self, row: Mapping[str, Any]) -> bool:
        """True if a row of ``metrics.csv`` stays; it is counted from step 0. One that a kill cut short does not."""
        if None in row.values() or int(row["step"]) >= self.step:
            return False
        is_last_validation = int(row["step"]) == self.step - 1 and any(row[name] for name in row if "val/" in name)
        return not (self.validation_is_due and is_last_validation)


class MetricsLog(Logger):
    """``metrics.csv``, which a resumed run continues, and ``hparams.yaml``; what was written stays whole.

    (Lightning's `CSVLogger` deletes the log of the run before, and empties the file to write it again.)

    Args:
        resumed: where it continues; None: a new run.
    """

    name = version = None

    def __init__(self, folder: Path, resumed: LogPosition | None = None):
        super().__init__()
        self.folder, self.path = folder, folder / "metrics.csv"
        self._resumed = resumed
        self._columns: list[str] = []  # of the file; empty: nothing has been written by this process yet
        self._rows: list[dict[str, Any]] = []  # to be written

    @rank_zero_only
    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        with atomic_write(self.folder / "hparams.yaml") as file:
            yaml.safe_dump(dict(params), file)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        assert step is not None  # Lightning always says it
        self._rows.append({**metrics, "step": step})
        if (step + 1) % _ROWS_APART == 0:
            self.save()

    @rank_zero_only
    def save(self) -> None:
        if not self._rows:
            return
        if new := set().union(*self._rows) - set(self._columns):
            self._write_anew(new)
        else:
            self._append()
        self._rows = []

    @rank_zero_only
    def finalize(self, status: str) -> None:
        # What ended a run that failed is to be told, not that its log could not be written either.
        with contextlib.suppress(*([InputError] if status == "failed" else [])):
            self.save()

    def _write_anew(self, new_columns: set[str]) -> None:
        before: list[dict[str, Any]] = []
        if self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                before = [row for row in csv.DictReader(file) if self._resumed is None or self._resumed.holds(row)]
        columns = sorted(new_columns.union(self._columns, *before[:1]))
        with atomic_write(self.path) as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows([*before, *self._rows])
        self._columns, self._resumed = columns, None

    def _append(self) -> None:
        before = self.path.stat().st_size
        try:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self._columns).writerows(self._rows)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(self.path, before)
            raise InputError(f"cannot write {self.path}: {error.strerror or error}") from error


def run_loggers(folder: Path, resumed: LogPosition | None = None, logger: str = "tensorboard") -> list[Logger]:
    """CSV, and TensorBoard, Weights & Biases or both; all in the run's folder, all continued by a resumed run."""
    boards: list[Logger] = []
    if logger in ("tensorboard", "both"):
        boards.append(TensorBoard(folder, None if resumed is None else resumed.step))
    if logger in ("wandb", "both"):
        boards.append(WandbBoard(folder))
    return [*boards, MetricsLog(folder, resumed)]
