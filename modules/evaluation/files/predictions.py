"""Prediction files, by column."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from datasets.errors import InputError, explained

from .formats import TRUTH, read_records

_TEXT, _TEXTS = pa.string(), pa.list_(pa.string())


@dataclass(frozen=True)
class Predictions:
    """Answers of a model, as its file lists them.

    Attributes:
        path: the file.
        qids: strings [P].
        answers: strings [P].
        best_answers: lists of strings [P], the best first; None when the file has only `answers`.
        claimed: strings [P], what the file takes for the true answers (null where it does not say); None: it does not.
    """

    path: Path
    qids: pa.Array
    answers: pa.Array
    best_answers: pa.Array | None
    claimed: pa.Array | None = None

    def among(self, qids: pa.Array) -> "Predictions":
        """Keeps the predictions for some questions."""
        kept = pc.is_in(self.qids, value_set=qids.cast(_TEXT))
        columns = (self.qids, self.answers, self.best_answers, self.claimed)
        return Predictions(self.path, *(None if column is None else column.filter(kept) for column in columns))


def read_predictions(path: str | os.PathLike, num_answers: int = 1) -> Predictions:
    """Reads a JSON list of `{"qid", "answer"}`; also `f"answer{num_answers}"`, if num_answers > 1 and the file has it.

    Other projects' forms are read as well, see `read_records`.

    Raises:
        InputError: the file cannot be read, is not such a list, or is empty.
    """
    path = Path(path)
    records = read_records(path)
    best = f"answer{num_answers}"
    has_best = num_answers > 1 and any(best in record for record in records)
    claims = [claim if isinstance(claim := record.get(TRUTH), str) else None for record in records]
    return Predictions(
        path=path,
        qids=_column(path, records, "qid", _TEXT),
        answers=_column(path, records, "answer", _TEXT),
        best_answers=_column(path, records, best, _TEXTS) if has_best else None,
        claimed=pa.array(claims, _TEXT) if any(claim is not None for claim in claims) else None,
    )


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


def _column(path: Path, records: list[dict], key: str, kind: pa.DataType) -> pa.Array:
    for index, record in enumerate(records):
        value = record.get(key)
        texts, wanted = ([value], "text") if kind == _TEXT else (value, "a list of texts")
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise InputError(f"{path}, prediction {index}: {key!r} is {value!r}, not {wanted}")
    with explained(f"{path}: a value of {key!r} is not Unicode text", UnicodeEncodeError):
        return pa.array([record[key] for record in records], kind)
