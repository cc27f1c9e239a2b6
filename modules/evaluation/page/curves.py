"""Learning curves, from the CSV log of a run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.errors import InputError, did_you_mean, explained

LOG = "metrics.csv"
MOST_POINTS = 200  # a curve


@dataclass(frozen=True)
class Run:
    """The log of a training run."""

    names: tuple[str, ...]  # of the experiment's folder and the run's, or of the file's folder alone
    metrics: dict[str, list[tuple[int, float]]]  # name -> (optimizer step, value) in order of steps, finite values only


def read_run(path: Path) -> Run:
    """Reads ``metrics.csv``, given as a file or by the folder of its run.

    Raises:
        InputError: there is none, or it is no log of a run; of an experiment's folder, the runs in it are named.
    """
    import pandas as pd  # half a second, which the table of scores need not wait for

    file = path / LOG if path.is_dir() else path
    if not file.is_file():
        raise _no_log(path)
    with explained(f"{file} is not a CSV file", OSError, ValueError):  # pandas' errors are ValueErrors
        log = pd.read_csv(file).apply(pd.to_numeric, errors="coerce")
    if "step" not in log:
        raise InputError(f"{file} has no column 'step'; it is not the log of a run")
    log = log[log["step"].notna()]  # the last row is cut short when the run was killed
    log.index = log["step"].astype(int) + 1
    finite = {name: log.loc[np.isfinite(log[name]), name] for name in sorted(set(log) - {"step", "epoch"})}
    metrics = {name: list(values.groupby(level=0).last().items()) for name, values in finite.items() if len(values)}
    return Run(_names(file.resolve()), metrics)


def run_names(runs: Sequence[Run]) -> list[str]:
    """Names that tell the runs apart: of the experiment where that is enough, else with the version."""
    for length in (1, 2):
        names = ["/".join(run.names[:length]) for run in runs]
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({number})" for number, name in enumerate(names, 1)]


def thin_out(points: list[tuple[int, float]], most: int = MOST_POINTS) -> list[tuple[int, float]]:
    """Keeps at most so many points: each the mean of as many neighbours, at the last one's step."""
    size = math.ceil(len(points) / most)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def _no_log(path: Path) -> InputError:
    if path.exists():
        below = [found.parent for pattern in ("*", "*/version_*") for found in path.glob(f"{pattern}/{LOG}")]
        runs = ", ".join(sorted(str(run.relative_to(path)) for run in below))
        reason, hint = f"holds no {LOG}", f"; it has the runs {runs}" if runs else ""
    else:
        neighbours = [found.name for found in path.parent.iterdir()] if path.parent.is_dir() else []
        reason, hint = "does not exist", did_you_mean(path.name, neighbours)
    return InputError(f"{path} {reason}{hint}; give the folder of a run, such as result/anetqa_seed0/version_0")


def _names(file: Path) -> tuple[str, ...]:
    folder = file.parent
    return (folder.parent.name, folder.name) if folder.name.startswith("version_") else (folder.name,)
