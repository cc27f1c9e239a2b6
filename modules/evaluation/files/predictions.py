"""Prediction files, by column."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datasets.errors import InputError, explained
from datasets.question_table import QuestionTable

from .formats import CHOSEN, TRUTH, read_records

_TEXT, _TEXTS = pa.string(), pa.list_(pa.string())


@dataclass(frozen=True)
class Predictions:
    """Answers of a model, as its file lists them."""

    path: Path
    qids: pa.Array  # strings [P]
    answers: pa.Array  # strings [P]
    best_answers: pa.Array | None  # lists of strings [P], the best first; None when the file has only `answers`
    # float [P, K], probabilities of `best_answers`, or of `answers` (K = 1); None: the file has none
    scores: np.ndarray | None = None
    # strings [P], what the file takes for the true answers (null where it does not say); None: it does not
    claimed: pa.Array | None = None

    def among(self, qids: pa.Array) -> "Predictions":
        """Keeps the predictions for some questions."""
        kept = pc.is_in(self.qids, value_set=qids.cast(_TEXT))
        columns = (self.qids, self.answers, self.best_answers, self.claimed)
        qids, answers, best, claimed = (None if column is None else column.filter(kept) for column in columns)
        scores = None if self.scores is None else self.scores[np.asarray(kept)]
        return Predictions(self.path, qids, answers, best, scores, claimed)


def read_predictions(path: str | os.PathLike, num_answers: int = 1, table: QuestionTable | None = None) -> Predictions:
    """Reads a JSON list of `{"qid", "answer"}` and, where the file has them, probabilities, as "score".

    If num_answers > 1, it reads `f"answer{num_answers}"` and `f"scores{num_answers}"`, lists, the best first.
    Other projects' forms are read as well, see `read_records`.

    Args:
        table: the questions, for files that give the index of a choice.

    Raises:
        InputError: the file cannot be read, is not such a list, or is empty; there is no choice of an index.
    """
    path = Path(path)
    records = read_records(path)
    if table is not None and table.has_choices:
        rows = {table.qid(row): row for row in range(len(table))}
        records = [
            _with_texts(path, record, table.choices(rows[qid]) if (qid := record.get("qid", "")) in rows else None)
            for record in records
        ]
    best = f"answer{num_answers}"
    has_best = num_answers > 1 and any(best in record for record in records)
    claims = [claim if isinstance(claim := record.get(TRUTH), str) else None for record in records]
    return Predictions(
        path=path,
        qids=_column(path, records, "qid", _TEXT),
        answers=_column(path, records, "answer", _TEXT),
        best_answers=_column(path, records, best, _TEXTS) if has_best else None,
        scores=_scores(path, records, *((f"scores{num_answers}", best) if has_best else ("score", "answer"))),
        claimed=pa.array(claims, _TEXT) if any(claim is not None for claim in claims) else None,
    )


def _scores(path: Path, records: list[dict], key: str, of: str) -> np.ndarray | None:
    """float [P, K]; None where no record has `key`. K is the same for all, and one for a single answer (`of`)."""
    if not any(key in record for record in records):
        return None
    rows: list[list] = [value if isinstance(value := record.get(key), list) else [value] for record in records]
    for index, (row, record) in enumerate(zip(rows, records, strict=True)):
        wanted = len(record[of]) if isinstance(record[of], list) else 1
        are_shares = all(type(one) in (int, float) and 0 <= one <= 1 for one in row)
        if not len(row) == len(rows[0]) == wanted or not are_shares:
            raise InputError(f"{path}, prediction {index}: {key!r} is {record.get(key)!r}, not {wanted} probabilities")
    return np.array(rows, dtype=float)


def short_names(names: Sequence[str]) -> list[str]:
    """Names without the beginning that all of them share, as far as whole words (up to a ``_`` or a ``/``).

    ``anetqa_by_mean, anetqa_by_trm`` -> ``mean, trm``. A single name stays as it is.
    """
    shared = 0
    for position, characters in enumerate(zip(*names, strict=False), 1):
        if len(set(characters)) > 1:
            break
        if characters[0] in "_/":
            shared = position
    return [name[shared:] for name in names] if len(names) > 1 and all(name[shared:] for name in names) else list(names)


def _with_texts(path: Path, record: dict[str, Any], choices: list[str] | None) -> dict[str, Any]:
    """A record whose indices of choices became their texts; as it is if it has none. Of an unknown question: empty."""
    if CHOSEN not in record:
        return record
    if choices is None:
        return {**record, "answer": "", TRUTH: None}
    chosen, texts = record[CHOSEN], dict(enumerate(choices))
    if type(chosen) is not int or chosen not in texts:
        raise InputError(
            f"{path}, {record['qid']!r}: 'prediction' is {chosen!r}, not the index of a choice, 0 to {len(choices) - 1}"
        )
    return {**record, "answer": texts[chosen], TRUTH: texts.get(record.get(TRUTH, -1))}


def _column(path: Path, records: list[dict], key: str, kind: pa.DataType) -> pa.Array:
    for index, record in enumerate(records):
        value = record.get(key)
        texts, wanted = ([value], "text") if kind == _TEXT else (value, "a list of texts")
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise InputError(f"{path}, prediction {index}: {key!r} is {value!r}, not {wanted}")
    with explained(f"{path}: a value of {key!r} is not Unicode text", UnicodeEncodeError):
        return pa.array([record[key] for record in records], kind)
