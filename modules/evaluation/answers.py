"""Answers of models, question by question of the truth, and confusions between answers."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datasets.question_table import QuestionTable
from modules.evaluation.files.predictions import Predictions


@dataclass(frozen=True)
class Answers:
    """A prediction file in the order of the truth's N questions."""

    texts: list[str]  # all answers that occur; those of the truth come first, in the order of its codes
    codes: np.ndarray  # int [N], indices into `texts`; -1 where the prediction is missing
    best: pa.Array | None  # lists of strings [N] (null where missing), the best first; None when the file has none


@dataclass(frozen=True)
class Confusion:
    """Counts of frequent answers given for frequent ones; the last row and the last column are all the others."""

    labels: list[str]  # the K answers that are true most often
    counts: np.ndarray  # int [K + 1, K + 1], true answer × given answer
    # (true answer, given answer, count) of the most frequent mistakes among all answers
    mistakes: list[tuple[str, str, int]]


def align(table: QuestionTable, predictions: Predictions) -> Answers:
    """Puts predictions, of which every question has one at most, in the order of the truth."""
    positions = pc.index_in(table.column("qid").cast(pa.string()), value_set=predictions.qids.cast(pa.string()))
    given = pc.take(predictions.answers, positions).dictionary_encode()
    known = table.column("answer").dictionary
    others = given.dictionary.filter(pc.is_null(pc.index_in(given.dictionary, value_set=known)))
    texts = pa.concat_arrays([known.cast(pa.string()), others])
    code_of = np.asarray(pc.index_in(given.dictionary, value_set=texts))
    indices = pc.fill_null(given.indices, -1).to_numpy(zero_copy_only=False)
    codes = np.where(indices < 0, -1, code_of[indices])
    best = None if predictions.best_answers is None else pc.take(predictions.best_answers, positions)
    return Answers(texts.to_pylist(), codes, best)


def true_codes(table: QuestionTable) -> np.ndarray:
    """int [N]: the true answers, as `Answers.texts` numbers them."""
    return table.column("answer").indices.to_numpy()


def confuse(truth: np.ndarray, answers: Answers, num_labels: int = 10, num_mistakes: int = 10) -> Confusion:
    """Counts which answers are given for which.

    Args:
        truth: int [N], see `true_codes`.
        answers: of one model. Questions without an answer do not count.
        num_labels: how many answers have a row of their own.
    """
    answered = answers.codes >= 0
    truth, given = truth[answered].astype(np.int64), answers.codes[answered].astype(np.int64)
    total = np.bincount(truth, minlength=len(answers.texts))
    frequent = np.argsort(-total, kind="stable")[: min(num_labels, np.count_nonzero(total))]
    place = np.full(len(answers.texts), len(frequent))
    place[frequent] = np.arange(len(frequent))
    side = len(frequent) + 1
    counts = np.bincount(place[truth] * side + place[given], minlength=side * side).reshape(side, side)

    wrong = truth != given
    pairs, times = np.unique(truth[wrong] * len(answers.texts) + given[wrong], return_counts=True)
    most = np.argsort(-times, kind="stable")[:num_mistakes]
    mistakes = [
        (answers.texts[pair // len(answers.texts)], answers.texts[pair % len(answers.texts)], int(count))
        for pair, count in zip(pairs[most].tolist(), times[most], strict=True)
    ]
    return Confusion([answers.texts[code] for code in frequent], counts, mistakes)
