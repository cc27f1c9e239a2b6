"""Predictions in the forms that the tools of others read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from datasets.files import write_json
from datasets.question_table import QuestionTable

from .predictions import Predictions


def export_path(predictions: Path, form: str) -> Path:
    """Path beside the predictions: `A.json` -> `A_official.json`."""
    return predictions.with_name(f"{predictions.stem}_{form}.json")


def export(path: Path, form: str, predictions: Predictions, table: QuestionTable) -> None:
    """Writes predictions for the tools of others, in the order of the truth. Raises InputError where it cannot.

    Args:
        predictions: of which every question has one at most.
    """
    answers = dict(zip(predictions.qids.to_pylist(), predictions.answers.to_pylist(), strict=True))
    rows = [row for row in range(len(table)) if table.qid(row) in answers]
    if form == "official" and table.has_choices:
        write_json(path, {table.qid(row): _of_nextqa(table, row, answers[table.qid(row)]) for row in rows})
        return
    write_json(path, [EXPORTS[form](table, row, answers[table.qid(row)]) for row in rows])


def _official(table: QuestionTable, row: int, answer: str) -> dict[str, Any]:
    return {"question_id": table.qid(row), "answer": answer}


def _of_nextqa(table: QuestionTable, row: int, answer: str) -> dict[str, Any]:
    choices, truth = table.choices(row), table.answer(row)
    return {"prediction": choices.index(answer), "answer": choices.index(truth) if truth else None}


def _video_chatgpt(table: QuestionTable, row: int, answer: str) -> dict[str, Any]:
    return {"id": table.qid(row), "question": table.question(row), "answer": table.answer(row), "pred": answer}


EXPORTS: dict[str, Callable[[QuestionTable, int, str], dict[str, Any]]] = {
    "official": _official,
    "video-chatgpt": _video_chatgpt,
}
