"""Confidence of prediction files that have scores: calibration, a temperature, thresholds for abstaining."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datasets.annotations import QASource
from datasets.errors import InputError
from datasets.question_table import QuestionTable
from modules.evaluation.files.predictions import Predictions, read_predictions
from modules.evaluation.statistics.bootstrap import Interval, ratio_interval, resampled_sums
from modules.evaluation.statistics.calibration import Calibration, Step, calibrate, fit_temperature, tempered

from .correctness import judge

RISKS = (5, 10, 20, 30, 40, 50)  # percent wrong of what is answered, for which thresholds are chosen


@dataclass(frozen=True)
class Scored:
    """Predictions with scores, and what became of them; M questions."""

    shares: np.ndarray  # float [M, K], probabilities of the answers listed, the given one first
    place: np.ndarray  # int [M], which of them is true; K: none
    video_codes: np.ndarray  # int [M]

    @property
    def correct(self) -> np.ndarray:
        return self.place == 0

    def calibration(self, confidence: np.ndarray | None = None) -> Calibration:
        own = self.shares[:, 0] if confidence is None else confidence
        return calibrate(own, self.correct, self.video_codes)


@dataclass(frozen=True)
class Threshold:
    """Confidence under which a model abstains, chosen on val so that of its answers no more than `risk` % are wrong."""

    risk: int
    threshold: float | None  # the lowest that does so on val; None: none does; 0: it need not abstain
    coverage: float | None = None  # percent of the questions that are then answered here
    wrong: float | None = None  # percent of these that are wrong, with its interval
    interval: Interval | None = None


@dataclass(frozen=True)
class Confidence:
    """The worth of the scores of a prediction file."""

    calibration: Calibration  # of the scores as they are
    temperature: float | None  # fitted on val, and the scores with it; None without val
    tempered: Calibration | None
    thresholds: list[Threshold]  # chosen on val; empty without

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


def scored(table: QuestionTable, predictions: Predictions) -> Scored | None:
    """Joins scores with the truth; None: the file has none. To each question there is one prediction at most."""
    if predictions.scores is None:
        return None
    rows = np.asarray(pc.index_in(predictions.qids, value_set=table.column("qid").cast(pa.string())))
    answers = predictions.answers if predictions.best_answers is None else pc.list_flatten(predictions.best_answers)
    truth = table.column("answer")
    codes = np.asarray(pc.fill_null(pc.index_in(answers, value_set=truth.dictionary), -1)).reshape(len(rows), -1)
    hits = codes == truth.indices.to_numpy()[rows, None]
    place = np.where(hits.any(1), hits.argmax(1), hits.shape[1])
    return Scored(predictions.scores, place, table.video_codes[rows])


def scored_validation(source: QASource, files: Sequence[str | os.PathLike]) -> list[Scored]:
    """Scores of the predictions in all files but the last, on the questions of the last."""
    if not files:
        return []
    table, found = source.read_questions(Path(files[-1])), []
    for path in files[:-1]:
        predictions = read_predictions(path, source.num_answers_in_predictions, table)
        judge(table, predictions)
        if (own := scored(table, predictions)) is None:
            raise InputError(f"--val: {path} has no scores; predict the split again")
        found.append(own)
    return found


def find_confidences(
    table: QuestionTable, files: Sequence[Predictions], validation: Sequence[Scored] = ()
) -> list[Confidence | None]:
    """Finds the worth of the scores of each file; None where it has none.

    Args:
        validation: scores on the validation split, for temperatures and thresholds; empty: there are none.
    """
    found = [scored(table, one) for one in files]
    if not validation:
        return [None if one is None else Confidence(one.calibration(), None, None, []) for one in found]
    return [None if one is None else _with_validation(one, val) for one, val in zip(found, validation, strict=True)]


def _with_validation(here: Scored, val: Scored) -> Confidence:
    temperature = fit_temperature(val.shares, val.place)
    with_it = here.calibration(tempered(here.shares, temperature))
    return Confidence(here.calibration(), temperature, with_it, _thresholds(val.calibration().steps, here))


def _thresholds(steps: Sequence[Step], here: Scored) -> list[Threshold]:
    """Chooses one for each of RISKS, up to the first that all answers keep to."""
    kept = [risk for risk in RISKS if steps[-1].risk > risk]
    return [_threshold(risk, steps, here) for risk in RISKS[: len(kept) + 1]]


def _threshold(risk: int, steps: Sequence[Step], here: Scored) -> Threshold:
    fitting = [step.threshold for step in steps if step.risk <= risk]
    if not fitting:
        return Threshold(risk, None)
    threshold = 0.0 if steps[-1].risk <= risk else fitting[-1]
    answered = here.shares[:, 0] >= threshold
    right = answered & here.correct
    if not answered.any():
        return Threshold(risk, threshold, 0.0)
    counts = [np.bincount(here.video_codes, mask, here.video_codes.max() + 1) for mask in (right, answered)]
    sums = resampled_sums(np.stack(counts, axis=1))
    found = ratio_interval(sums[:, 0], sums[:, 1], int(np.count_nonzero(counts[1])))
    interval = found and Interval(100 - found.high, 100 - found.low)
    wrong = 100 - 100 * float(right.sum() / answered.sum())
    return Threshold(risk, threshold, 100 * float(answered.mean()), wrong, interval)
