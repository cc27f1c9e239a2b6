"""Description of a question-answering data set, readers of its annotation files, and vocabularies."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .breakdowns import Breakdown, IfRight
from .errors import InputError, explained
from .files import read_json, reading
from .json_stream import iterate_json_object
from .question_table import QuestionTable, Row, read_table

__all__ = [
    "QASource",
    "QuestionTable",
    "csv_rows",
    "json_list_rows",
    "json_object_rows",
    "read_table",
    "read_vocabulary",
]


@dataclass(frozen=True)
class QASource:
    """All that tells one question-answering data set from another; one instance per file, named SOURCE.

    Attributes:
        name: as in `data/<name>`, `result/<name>_by_….json` and the configuration.
        split_files: split ("train", "val", "test") -> file name in the data folder.
        read_questions: path -> table; picklable, so a function of a module.
        frame_directory: folder of a video in `frames/`, with `{video_id}` to fill in.
        feature_key: key of a video in `<name>.h5`, with `{video_id}` to fill in.
        num_answers_in_predictions: how many of the best answers a prediction lists; 1: only the best.
        breakdowns: the groups of questions that `eval.py` reports.
        within: categories within which every breakdown is reported once more.
        if_right: groups whose scores are over questions that depend on what else a model has right.
        generalisation: title of a breakdown -> the flag of its questions, without which a model is to be trained.
    """

    name: str
    split_files: Mapping[str, str]
    read_questions: Callable[[Path], QuestionTable]
    frame_directory: str
    feature_key: str
    num_answers_in_predictions: int
    breakdowns: tuple[Breakdown, ...]
    within: Breakdown | None = None
    if_right: tuple[IfRight, ...] = ()
    generalisation: Mapping[str, str] = field(default_factory=dict)


def read_vocabulary(path: str | os.PathLike) -> list[str]:
    """Reads `{answer: index}` as a list of answers in order of their index.

    Raises:
        InputError: the file cannot be read, is no such object or empty; an index is missing, repeated or not an int.
    """
    vocabulary = read_json(path)
    if not isinstance(vocabulary, dict) or not vocabulary:
        raise InputError(f"{path} is not a JSON object of answer -> index")
    places = range(len(vocabulary))
    answers = {index: answer for answer, index in vocabulary.items() if type(index) is int and index in places}
    if missing := [place for place in places if place not in answers]:
        raise InputError(
            f"{path}: no answer has the index {missing[0]}; "
            f"{len(vocabulary)} answers have the indices 0 to {len(vocabulary) - 1}, each once"
        )
    return [answers[place] for place in places]


def csv_rows(path: Path, columns: Iterable[str]) -> Iterator[Row]:
    """The rows of a CSV file with a header that has at least these columns.

    Raises:
        InputError: not UTF-8, not CSV, a column missing, a row that is longer or shorter than the header.
    """
    with reading(path), path.open(encoding="utf-8-sig", newline="") as file, explained(f"{path} is no CSV", csv.Error):
        lines = csv.reader(file, strict=True)
        header = next(lines, [])
        missing = [column for column in columns if column not in header]
        if missing:
            raise InputError(
                f"{path} has no column {', '.join(map(repr, missing))} (it has {', '.join(header)[:200]!r}); "
                "is it of another data set?"
            )
        start = lines.line_num + 1
        for values in lines:
            where = f"line {start}"
            start = lines.line_num + 1
            if len(values) != len(header):
                raise InputError(f"{path}, {where}: {len(values)} fields instead of {len(header)}")
            yield where, dict(zip(header, values, strict=True))


def json_object_rows(path: Path) -> Iterator[Row]:
    """The records of `{qid: {…}, …}`, each with its qid, read piece by piece."""
    for qid, record in iterate_json_object(path):
        record["qid"] = qid
        yield f"record {qid!r}", record


def json_list_rows(path: Path) -> Iterator[Row]:
    """The records of `[{…}, …]`. Raises InputError when the file holds anything else."""
    records = read_json(path)
    if not isinstance(records, list):
        raise InputError(f"{path} is not a JSON list of records")
    for index, record in enumerate(records):
        if not isinstance(record, dict):
            raise InputError(f"{path}, item {index}: not an object")
        yield f"item {index}", record
