"""Where a run writes: ``<log_dir>/<exp_name>_seed<seed>/version_<k>/`` with logs and ``checkpoints/``; predictions."""

import contextlib
import csv
import fcntl
import os
import re
import socket
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytorch_lightning.core.saving import save_hparams_to_yaml
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities.rank_zero import rank_zero_only, rank_zero_warn

from datasets.errors import InputError
from datasets.files import atomic_write
from modules.checkpoints.reader import CheckpointFile, read_checkpoint

CHECKPOINTS = "checkpoints"
# Names that every run gives; a predictions file named after one of them says whose it is.
COMMON_NAMES = ("best", "last", "previous", "next")
# From which to resume first. A next.ckpt is whole, and was to become last.ckpt when the run was killed.
_NEWEST_FIRST = ("next", "last", "previous", "best")
LOCK = ".lock"


def experiment_folder(log_dir: str | Path, exp_name: str, seed: int) -> Path:
    return Path(log_dir) / f"{exp_name}_seed{seed}"


def new_run_folder(log_dir: str | Path, exp_name: str, seed: int, fast_dev_run: bool = False) -> Path:
    """The next free ``version_<k>``, made at once, so that a run that starts at the same moment takes the one after it.

    The first rank makes it, the only one that writes there; what the others find is a guess. A `fast_dev_run`, which
    writes nothing, makes none.

    Raises:
        InputError: it cannot be made.
    """
    folder = experiment_folder(log_dir, exp_name, seed)
    number = max(map(_version, folder.glob("version_*")), default=-1) + 1
    while not fast_dev_run and is_first_rank():
        path = folder / f"version_{number}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.mkdir()
            break
        except FileExistsError:
            if not folder.is_dir():
                raise InputError(f"cannot make {path}: {folder} is no folder") from None
            number += 1
        except OSError as error:
            raise InputError(f"cannot make {path}: {error.strerror or error}") from error
    return folder / f"version_{number}"


def _version(folder: Path) -> int:
    match = re.fullmatch(r"version_(\d+)", folder.name)
    return int(match[1]) if match else -1


def is_first_rank() -> bool:
    """Of all machines, as the environment has it: asked before the ranks know of each other."""
    rank = next((os.environ[name] for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID") if name in os.environ), "0")
    return rank == "0" and os.environ.get("NODE_RANK", "0") == "0"


@contextlib.contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Keeps other runs out of a run's folder for as long as it lasts, or the process lives.

    For the first rank; to others it does nothing. File systems that know no locks let everybody in.

    Raises:
        InputError: another process holds the folder, or nothing can be written there.
    """
    if not is_first_rank():
        yield
        return
    path = folder / LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        with contextlib.suppress(OSError):
            try:
                # Not flock: loader workers would inherit it, and hold it for a while after this process was killed.
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = " on ".join(os.pread(descriptor, 300, 0).decode(errors="replace").split()) or "unknown"
                raise InputError(f"{folder} is being written by process {holder}; wait for it or stop it") from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


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
            _check_regular(path)
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


def _check_regular(path: Path) -> None:
    """A pipe would be waited for."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is not a regular file")


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
    """What to call a checkpoint in a file name: its stem, and for the names that every run gives also the run's.

    ``anetqa.ckpt`` -> ``anetqa``; ``anetqa_seed0/version_2/checkpoints/best.ckpt`` -> ``anetqa_seed0_version_2_best``.
    """
    path = Path(path).resolve()
    if path.stem not in COMMON_NAMES:
        return path.stem
    folder = path.parent.parent if path.parent.name == CHECKPOINTS else path.parent
    owners = [folder.parent.name, folder.name] if folder.name.startswith("version_") else [folder.name]
    return "_".join([*owners, path.stem])


def predictions_path(log_dir: str | Path, objective: str, datasets: Sequence[str], load_path: str | Path) -> Path:
    """``<log_dir>/<data set>_by_<checkpoint>.json``; pre-training, which mixes data sets, is called by its own name."""
    name = "_".join(datasets) if objective == "qa" else objective
    return Path(log_dir) / f"{name}_by_{checkpoint_label(load_path)}.json"


@dataclass(frozen=True)
class LogPosition:
    """Up to where the log of a run holds good when it is resumed from a checkpoint; the rest will be written again."""

    step: int  # optimizer steps done
    validation_is_due: bool  # the validation after the last of them comes again

    @classmethod
    def of(cls, checkpoint: CheckpointFile) -> "LogPosition":
        """Of a checkpoint of a training run. Raises InputError if it does not say."""
        try:
            done = checkpoint.others["global_step"]
            loops = checkpoint.others["loops"]["fit_loop"]
            validation = loops["epoch_loop.val_loop.batch_progress"]["total"]
            counts = (done, validation["ready"], validation["completed"])
        except (KeyError, TypeError):
            counts = ()
        if not counts or not all(type(count) is int for count in counts):
            raise InputError(f"{checkpoint.path} does not say how far its run had come; resume from another checkpoint")
        step, ready, completed = counts
        return cls(step, ready > completed)

    def holds(self, row: Mapping[str, str]) -> bool:
        """Whether a row of ``metrics.csv`` stays; it is counted from step 0."""
        step = row["step"]
        if not re.fullmatch(r"[0-9]{1,18}", step) or int(step) >= self.step:
            return False
        is_last_validation = int(step) == self.step - 1 and any(row[name] for name in row if "val/" in name)
        return not (self.validation_is_due and is_last_validation)


class _Writer(ExperimentWriter):
    """Lightning's, but what was written stays whole: its own empties a file to write it again."""

    def _check_log_dir_exists(self) -> None:
        """Lightning would delete the log of the run that is resumed here."""

    def log_hparams(self, params: dict[str, Any]) -> None:
        self.hparams.update(params)
        file = Path(self.log_dir) / self.NAME_HPARAMS_FILE
        beside = file.with_name(f".{file.name}.tmp")
        try:
            save_hparams_to_yaml(beside, self.hparams)
            beside.replace(file)
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise InputError(f"cannot write {file}: {error.strerror or error}") from error

    def save(self) -> None:
        if not self.metrics:
            return
        path = Path(self.metrics_file_path)
        new = set().union(*self.metrics) - set(self.metrics_keys)
        if new or not path.exists():
            self.metrics_keys = sorted([*self.metrics_keys, *new])
            before = _read_rows(path)[1] if path.exists() else []
            _write_rows(path, self.metrics_keys, [*before, *self.metrics])
        else:
            _append_rows(path, self.metrics_keys, self.metrics)
        self.metrics = []


def _read_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows; without rows that were cut short, or ran into the next."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns = list(reader.fieldnames or [])
        return columns, [row for row in reader if None not in row and None not in row.values()]


def _write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    with atomic_write(path) as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def _append_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    before = path.stat().st_size
    try:
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, columns).writerows(rows)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.truncate(path, before)
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


class ResumableCSVLogger(CSVLogger):
    """Lightning's CSV log, which a resumed run continues.

    Args:
        folder: of the run; ``metrics.csv`` lies in it.
        resumed: where it continues; None: a new run.
    """

    def __init__(self, folder: Path, resumed: LogPosition | None = None):
        super().__init__(folder.parent.parent, folder.parent.name, folder.name)
        self._resumed = resumed

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        if self._experiment is None:
            self._experiment = _Writer(self.log_dir)
            metrics = Path(self._experiment.metrics_file_path)
            if self._resumed is not None and metrics.exists():
                self._experiment.metrics_keys = _keep_rows(metrics, self._resumed)
        return self._experiment

    def finalize(self, status: str) -> None:
        # What ended a run that failed is to be told, not that its log could not be written either.
        with contextlib.suppress(*([InputError] if status == "failed" else [])):
            super().finalize(status)


class RunBoard(TensorBoardLogger):
    """TensorBoard's log."""

    def finalize(self, status: str) -> None:
        with contextlib.suppress(*([OSError] if status == "failed" else [])):  # as above
            super().finalize(status)


def _keep_rows(metrics: Path, position: LogPosition) -> list[str]:
    """Drops the rows that no longer hold; returns the names of the columns. A file that is no log is put aside."""
    try:
        columns, rows = _read_rows(metrics)
    except (UnicodeDecodeError, csv.Error):
        columns, rows = [], []
    if "step" not in columns or len(set(columns)) < len(columns):
        aside = metrics.with_name(f"{metrics.stem}.damaged{metrics.suffix}")
        metrics.replace(aside)
        rank_zero_warn(f"{metrics} is damaged; it is kept as {aside.name}, and a new one begun")
        return []
    _write_rows(metrics, columns, filter(position.holds, rows))
    return columns


def run_loggers(folder: Path, resumed: LogPosition | None = None) -> list[Logger]:
    """TensorBoard and CSV, both in the run's folder, both continued by a resumed run."""
    parent, name, version = folder.parent.parent, folder.parent.name, folder.name
    purge_step = None if resumed is None else resumed.step
    return [
        RunBoard(parent, name, version, default_hp_metric=False, purge_step=purge_step),
        ResumableCSVLogger(folder, resumed),
    ]
