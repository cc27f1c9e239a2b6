"""Prediction files as other projects write them, read into our records.

Every record is joined by its question id. Where a file brings what it takes for the truth, that is kept apart: nothing
is ever scored against it.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from datasets.errors import InputError, explained
from datasets.files import read_json, reading

CHOSEN = "chosen"  # of a record of multiple choice: index of the choice that is predicted, with that of TRUTH
TRUTH = "truth"  # of a record: what the file takes for the true answer
_IDS = ("question_id", "qid", "id")


def read_records(path: Path) -> list[dict[str, Any]]:
    """Records `{"qid", "answer"}` and whatever else ours have; with TRUTH where the file states one.

    Known are our own list, the official one of ActivityNet-QA (`question_id, answer`), that of Video-ChatGPT and
    Video-LLaVA (`id, question, answer, pred`) and lmms-eval's samples (`doc, filtered_resps`), each as a JSON list or
    with one record per line; and NExT-QA's (`{qid: {prediction, answer}}`), whose answers are indices of CHOSEN.

    Raises:
        InputError: the file cannot be read, is of no known form, or has no records.
    """
    records = list(_lines(path)) if _is_lines(path) else read_json(path)
    if isinstance(records, dict) and records and all(map(_is_of_nextqa, records.values())):
        records = [{**record, "qid": qid} for qid, record in records.items()]
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise InputError(f'{path} is not a list of {{"qid", "answer"}} records; is it a file of predictions?')
    if not records:
        raise InputError(f"{path} has no predictions")
    convert = _converter(records[0])
    return [convert(record) for record in records]


def _is_of_nextqa(record: object) -> bool:
    return isinstance(record, dict) and "prediction" in record


def _converter(first: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Chooses by the fields of the first record, which all others share."""
    if "doc" in first and "filtered_resps" in first:
        return _from_lmms_eval
    if "prediction" in first:
        return lambda record: _renamed(record, {"prediction": CHOSEN, "answer": TRUTH})
    if "pred" in first:
        return _from_video_chatgpt
    if "question_id" in first and "qid" not in first:
        return lambda record: _renamed(record, {"question_id": "qid"})
    return lambda record: record


def _from_video_chatgpt(record: dict[str, Any]) -> dict[str, Any]:
    name = next((name for name in _IDS if name in record), "id")
    return _renamed({**record, "answer": record.get("answer")}, {name: "qid", "answer": TRUTH, "pred": "answer"})


def _from_lmms_eval(record: dict[str, Any]) -> dict[str, Any]:
    document = record["doc"] if isinstance(record.get("doc"), dict) else {}
    response = record.get("filtered_resps")
    while isinstance(response, list) and len(response) == 1:
        response = response[0]
    name = next((name for name in _IDS if name in document), "id")
    return _renamed({name: document.get(name), "answer": response, TRUTH: document.get("answer")}, {name: "qid"})


def _renamed(record: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    # A "score" of others is a judge's mark, not a probability.
    renamed = {names.get(name, name): value for name, value in record.items() if name != "score"}
    if type(renamed.get("qid")) is int:  # where ids are numbers, such as MSRVTT-QA's
        renamed["qid"] = str(renamed["qid"])
    return renamed


def _is_lines(path: Path) -> bool:
    """Tells whether the first line is a record by itself."""
    try:
        with path.open(encoding="utf-8") as file:
            first = json.loads(file.readline())
    except (OSError, ValueError, RecursionError):
        return False  # `read_json` says what is wrong
    return isinstance(first, dict) and any(name in first for name in (*_IDS, "doc"))


def _lines(path: Path) -> Iterator[Any]:
    with reading(path), path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                with explained(f"{path}, line {number}: not valid JSON", ValueError, RecursionError):
                    record = json.loads(line)
                yield record
