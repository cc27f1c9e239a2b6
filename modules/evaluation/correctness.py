"""Predictions against the truth, question by question."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datasets.errors import InputError, first_few
from datasets.question_table import QuestionTable
from modules.evaluation.files.predictions import Predictions


@dataclass(frozen=True)
class Correctness:
    """Outcome of each question of the truth; arrays of bool [N]."""

    answered: np.ndarray  # False where a prediction is missing
    correct: np.ndarray  # the answer is the true one
    correct_at_k: np.ndarray | None  # the true one is among the best answers; None when these were not predicted


def judge(table: QuestionTable, predictions: Predictions, allow_missing: bool = False) -> Correctness:
    """Compares predictions with the truth, question by question.

    Raises:
        InputError: a question is predicted twice, is unknown or, unless `allow_missing`, is missing.
    """
    positions = pc.index_in(predictions.qids, value_set=table.column("qid").cast(pa.string()))
    unknown = pc.unique(predictions.qids.filter(pc.is_null(positions))).to_pylist()
    known = np.asarray(positions.drop_null())
    counts = np.bincount(known, minlength=len(table))
    missing = [] if allow_missing else _qids(table, counts == 0)
    problems = {"missing": missing, "duplicate": _qids(table, counts > 1), "unknown": unknown}
    found = [f"{len(qids):,} {kind} ({first_few([*map(repr, qids)])})" for kind, qids in problems.items() if qids]
    if found:
        hint = "; --allow-missing scores the others" if missing else ""
        raise InputError(f"{predictions.path}: question ids do not match the truth: {', '.join(found)}{hint}")

    truth = table.column("answer")
    true_codes = truth.indices.to_numpy()[known]  # [P]
    correct = np.zeros(len(table), dtype=bool)
    correct[known] = _codes(predictions.answers, truth.dictionary) == true_codes
    correct_at_k = None
    if predictions.best_answers is not None:
        owners = np.asarray(pc.list_parent_indices(predictions.best_answers))
        hits = _codes(pc.list_flatten(predictions.best_answers), truth.dictionary) == true_codes[owners]
        correct_at_k = np.zeros(len(table), dtype=bool)
        correct_at_k[known[owners[hits]]] = True
    return Correctness(counts > 0, correct, correct_at_k)


def disagreements(table: QuestionTable, predictions: Predictions) -> int | None:
    """Counts where a file takes another answer for the true one; None where it does not say."""
    if predictions.claimed is None:
        return None
    truth = table.column("answer")
    places = pc.index_in(predictions.qids, value_set=table.column("qid").cast(pa.string()))
    ours = pc.take(truth.dictionary.cast(pa.string()), pc.take(truth.indices, places))
    return pc.sum(pc.not_equal(ours, predictions.claimed)).as_py() or 0


def _codes(answers: pa.Array, dictionary: pa.Array) -> np.ndarray:
    """The place of each answer in the dictionary, -1 when it is not there."""
    return np.asarray(pc.fill_null(pc.index_in(answers, value_set=dictionary), -1))


def _qids(table: QuestionTable, mask: np.ndarray) -> list[str]:
    return table.column("qid").filter(pa.array(mask)).to_pylist()
