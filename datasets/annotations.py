"""Description of a question-answering dataset, readers of its annotation files, and vocabularies."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa

from .breakdowns import Breakdown, IfRight
from .errors import InputError, explained
from .files import read_json, read_list, reading
from .json_stream import iterate_json_object
from .question_table import CHOICES, QuestionTable, Row, read_table, text_problem

__all__ = [
    "QASource",
    "QuestionTable",
    "csv_rows",
    "json_list_rows",
    "json_object_rows",
    "note_of_answers",
    "read_answers",
    "read_choice_table",
    "read_table",
    "read_vocabulary",
]


@dataclass(frozen=True)
class QASource:
    """All that tells one question-answering dataset from another; one instance per file, named SOURCE."""

    name: str  # as in `data/<name>`, `result/<name>_by_….json` and the configuration
    split_files: Mapping[str, str]  # split ("train", "val", "test") -> file name in the data folder
    read_questions: Callable[[Path], QuestionTable]  # path -> table; picklable, so a function of a module
    frame_directory: str  # folder of a video in `frames/`, with `{video_id}` to fill in
    feature_key: str  # key of a video in `<name>.h5`, with `{video_id}` to fill in
    num_answers_in_predictions: int  # how many of the best answers a prediction lists; 1: only the best
    breakdowns: tuple[Breakdown, ...]  # the groups of questions that `eval.py` reports
    within: Breakdown | None = None  # categories within which every breakdown is reported once more
    # groups whose scores are over questions that depend on what else a model has right
    if_right: tuple[IfRight, ...] = ()
    # title of a breakdown -> the flag of its questions, without which a model is to be trained
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


def read_answers(answers: Sequence[str] = (), answer_file: str | os.PathLike | None = None) -> list[str]:
    """Answers of the user's own, each once: those listed, then those of a file.

    Args:
        answer_file: an answer per line, or a vocabulary as `read_vocabulary` reads it (`.json`).

    Raises:
        InputError: the file cannot be read, or has none; an answer that is listed is empty, or listed twice.
    """
    if answer_file is not None and Path(answer_file).suffix == ".json":
        more = read_vocabulary(answer_file)
    else:
        more = read_list("answer_file", answer_file, "answer")
    own = [answer.strip() for answer in answers]
    for place, answer in enumerate(own):
        if not answer or answer in own[:place]:
            raise InputError(f"answers names {answer!r} {'twice' if answer else 'as one of them'}; leave it out")
    return list(dict.fromkeys(text for answer in [*own, *more] if (text := answer.strip())))


def note_of_answers(answers: Sequence[str], trained_on: Sequence[str] | None) -> str:
    """A line that tells how many of one's own answers a network was trained on; None: that is not known."""
    if trained_on is None:
        return f"scored are {len(answers):,} answers of your own; the network was trained on others, or on choices"
    unseen = len(set(answers).difference(trained_on))
    return (
        f"scored are {len(answers):,} answers of your own; {unseen:,} of them are not among the {len(trained_on):,} "
        "that the network was trained on"
    )


def read_choice_table(
    path: str | os.PathLike,
    reader: str,
    rows: Callable[[Path], Iterable[Row]],
    extra_columns: Mapping[str, pa.DataType] | None = None,
) -> QuestionTable:
    """`read_table` for multiple choice; the answer of its questions is the text of the right choice.

    Args:
        path, reader, extra_columns: as of `read_table`.
        rows: as there, but a row has `choices` (texts) and `right` (the index of the right one, as a number or its
            digits; "" where it is not known) in place of an answer.

    Raises:
        InputError: as there; a choice is missing, or more or fewer than in the first row; no choice has the index.
    """
    return read_table(path, reader, partial(_chosen, rows), {**(extra_columns or {}), CHOICES: pa.list_(pa.string())})


def _chosen(rows: Callable[[Path], Iterable[Row]], path: Path) -> Iterator[Row]:
    number = None
    for where, row in rows(path):
        choices, right = row["choices"], str(row["right"])
        number = number or len(choices)
        if not choices:
            raise InputError(f"{path}, {where}: no choices")
        named = {f"choice {n}": text.strip() if isinstance(text, str) else text for n, text in enumerate(choices)}
        problem = text_problem(named, (f"choice {place}" for place in range(number)))
        if problem is not None or len(choices) > number:
            raise InputError(f"{path}, {where}: {problem or f'{len(choices)} choices; the first row has {number}'}")
        if right not in ("", *map(str, range(number))):
            raise InputError(f"{path}, {where}: the right choice is {right!r}; there are 0 to {number - 1}")
        yield where, {**row, "answer": choices[int(right)] if right else ""}


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
                "is it of another dataset?"
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
