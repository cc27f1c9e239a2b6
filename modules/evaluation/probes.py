"""Probes: predictions of a model from which the evidence was taken, beside those with all of it, on the same questions.

docs/evaluation.md defines each probe; `run.py with test_only=True probe=NAME` writes the files.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datasets.errors import InputError
from datasets.question_table import QuestionTable
from datasets.settings import ProbeName
from modules.evaluation.files.predictions import Predictions
from modules.evaluation.statistics.bootstrap import ends

from .comparison import Comparison, Estimate, Members, Row

PROBES = [name for name in get_args(ProbeName) if name not in ("all", "none")]


@dataclass(frozen=True)
class ProbeScores:
    """A model under its probes."""

    plain: dict[str, list[Row]]  # title -> a row for each category, with the accuracy as it is
    # probe -> title -> a row for each category with three estimates: accuracy under the probe; accuracy as it is -
    # that, in points, paired; share of the questions with another answer
    probes: dict[str, dict[str, list[Row]]]

    def as_data(self) -> dict[str, Any]:
        """`{probe: {title: {label: {"accuracy", "drop", "interval", "flipped"}}}}`."""
        return {
            probe: {title: {row.label: _as_data(*row.estimates) for row in rows} for title, rows in groups.items()}
            for probe, groups in self.probes.items()
        }


def probe_files(path: Path) -> dict[str, Path]:
    """Probe -> its predictions, of those that lie beside the predictions of a model: `A.json` -> `A_one_frame.json`."""
    files = {probe: path.with_name(f"{path.stem}_{probe}{path.suffix}") for probe in PROBES}
    return {probe: file for probe, file in files.items() if file.exists()}


def check_probes(paths: Sequence[Path]) -> None:
    """Raises InputError unless one of the models has predictions under a probe."""
    if not any(map(probe_files, paths)):
        names = ", ".join(f"{path.with_suffix('')}_PROBE{path.suffix}" for path in paths)
        raise InputError(f"--probes: there is no {names}; scripts/probe.sh writes them")


def score_probes(
    table: QuestionTable,
    members: Members,
    plain: Predictions,
    answered: np.ndarray,
    correct: np.ndarray,
    read: Callable[[Path], tuple[Predictions, np.ndarray, np.ndarray]],
) -> ProbeScores:
    """Compares a model with itself, on the questions that it has answered both ways.

    Args:
        members: title -> label -> bool [N].
        plain: the model as it is.
        answered, correct: bool [N], which questions it answers and has right.
        read: file -> predictions, and the same of them.
    """
    answers = _in_order(table, plain)
    probes = {}
    for probe, path in probe_files(plain.path).items():
        predictions, also_answered, right = read(path)
        both = answered & also_answered
        flipped = pc.fill_null(pc.not_equal(answers, _in_order(table, predictions)), False)
        hits = [right, correct.astype(np.int8) - right, flipped.to_numpy(zero_copy_only=False)]
        probes[probe] = Comparison(table, [both] * 3, [np.where(both, one, 0) for one in hits]).rows(members)
    return ProbeScores(Comparison(table, [answered], [correct]).rows(members), probes)


def _in_order(table: QuestionTable, predictions: Predictions) -> pa.Array:
    """The answers to the table's questions, null where one is missing."""
    return pc.take(predictions.answers, pc.index_in(table.column("qid").cast(pa.string()), value_set=predictions.qids))


def _as_data(accuracy: Estimate, drop: Estimate, flipped: Estimate) -> Mapping[str, Any]:
    flips = {"interval": ends(drop.interval), "flipped": flipped.value}
    return {"accuracy": accuracy.value, "drop": drop.value, **flips}
