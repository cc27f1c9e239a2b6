"""Yardsticks for an accuracy: answers that look at no video, and what a vocabulary can reach at best."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datasets.annotations import QASource, read_vocabulary
from datasets.breakdowns import Breakdown
from datasets.errors import InputError
from datasets.question_table import QuestionTable

from .question_prior import question_prior

QUESTION_ONLY, CEILING = "question only", "ceiling"
_LARGEST_CODE = 1 << 50


@dataclass(frozen=True)
class Priors:
    """The N questions of a split: those that are answered right without their video, and those that can be at all."""

    vocabulary: int  # how many answers there are in training
    # bool [N] by name: "majority" (the most frequent answer of training), "by type" (of the same type of question),
    # "question only" (see `question_prior`), "ceiling" (the true answer is in the vocabulary)
    right: dict[str, np.ndarray]
    asked_twice: int  # pairs of a video and a question that occur several times, with different answers
    always_wrong: int  # how many of these questions are answered wrong whoever answers, if it answers the same twice

    def as_data(self, members: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Any]:
        """`{"vocabulary", "asked_twice", "always_wrong", "accuracy": {name: {title: {label: percent or None}}}}`."""
        accuracies = {
            name: {
                title: {label: share(right, mask) for label, mask in labels.items()}
                for title, labels in members.items()
            }
            for name, right in self.right.items()
        }
        counts = {"asked_twice": self.asked_twice, "always_wrong": self.always_wrong}
        return {"vocabulary": self.vocabulary, **counts, "accuracy": accuracies}


def share(right: np.ndarray, mask: np.ndarray) -> float | None:
    """Percent of the questions of a mask that are right; None of none."""
    total = int(np.count_nonzero(mask))
    return 100 * int(np.count_nonzero(right & mask)) / total if total else None


def find_training(source: QASource, truth: str | os.PathLike, given: str | os.PathLike | None = None) -> Path | None:
    """The training split: the file given, or else the dataset's own beside the truth, if it is there."""
    if given is not None:
        return Path(given)
    beside = Path(truth).parent / source.split_files["train"]
    return beside if beside.is_file() and beside != Path(truth) else None


def read_training(source: QASource, path: Path) -> QuestionTable:
    """Training questions whose answer is in the vocabulary beside the file; all, where there is none.

    Raises:
        InputError: a file cannot be read, or no question is left.
    """
    table = source.read_questions(path)
    vocabulary = path.parent / "vocab.json"
    if not vocabulary.is_file():
        return table
    answers = table.column("answer")
    known = pc.is_in(answers.dictionary, value_set=pa.array(read_vocabulary(vocabulary), pa.string()))
    kept = np.asarray(known)[answers.indices.to_numpy()]
    if not kept.any():
        raise InputError(f"{path}: no answer of its questions is in {vocabulary}; give the files of one dataset")
    return table if kept.all() else table.subset(kept)


def find_priors(source: QASource, table: QuestionTable, training: QuestionTable) -> Priors:
    """Answers the questions of `table` from the annotations of training alone."""
    truth, seen = table.column("answer"), training.column("answer")
    true_codes, seen_codes = truth.indices.to_numpy(), seen.indices.to_numpy()
    code_of = np.asarray(pc.fill_null(pc.index_in(seen.dictionary, value_set=truth.dictionary), -1))
    types, training_types = _types(source.breakdowns[0], table, training)
    guesses = {
        "majority": _mostly(np.zeros(len(training), int), seen_codes, np.zeros(len(table), int)),
        "by type": _mostly(training_types, seen_codes, types),
        QUESTION_ONLY: question_prior(training.column("question"), seen_codes, table.column("question")),
    }
    right = {name: code_of[guess] == true_codes for name, guess in guesses.items()}
    right[CEILING] = np.isin(true_codes, code_of[np.unique(seen_codes)])
    return Priors(len(np.unique(seen_codes)), right, *_asked_twice(table))


def _mostly(groups: np.ndarray, answers: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The most frequent answer of each wanted group, the earlier of equals; of a group without any, of all."""
    best = {}
    for group in np.unique(wanted).tolist():
        chosen = answers[groups == group]
        values, first, counts = np.unique(chosen if len(chosen) else answers, return_index=True, return_counts=True)
        best[group] = values[np.lexsort((first, -counts))[0]]
    return np.array(list(best.values()))[np.searchsorted(list(best), wanted)]


def _types(breakdown: Breakdown, table: QuestionTable, training: QuestionTable) -> tuple[np.ndarray, np.ndarray]:
    """A number for each combination of categories that questions are in: int [N], int [T]."""
    here, there = breakdown.members(table), breakdown.members(training)
    codes = np.zeros(len(table) + len(training), dtype=np.int64)
    for label in {**here, **there}:
        masks = [of.get(label, np.zeros(len(some), dtype=bool)) for of, some in ((here, table), (there, training))]
        codes = 2 * codes + np.concatenate(masks)
        if codes.max(initial=0) > _LARGEST_CODE:
            codes = np.unique(codes, return_inverse=True)[1]
    return codes[: len(table)], codes[len(table) :]


def _asked_twice(table: QuestionTable) -> tuple[int, int]:
    """Pairs of video and question with several answers, and the least number of wrong answers to them."""
    texts = table.column("question").dictionary_encode()
    asked = table.video_codes.astype(np.int64) * len(texts.dictionary) + texts.indices.to_numpy()
    _, asked = np.unique(asked, return_inverse=True)
    answers = table.column("answer")
    pairs, counts = np.unique(asked * len(answers.dictionary) + answers.indices.to_numpy(), return_counts=True)
    _, starts, different = np.unique(pairs // len(answers.dictionary), return_index=True, return_counts=True)
    several = different > 1
    lost = np.add.reduceat(counts, starts) - np.maximum.reduceat(counts, starts)
    return int(several.sum()), int(lost.sum())
