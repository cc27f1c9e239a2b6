"""STAR, multiple choice: 60,000 questions about situations in Charades' videos (Wu et al., NeurIPS 2021), as published.

`STAR_{train,val,test}.json` list `{"question_id", "question", "video_id", "answer", "choices", …}`, the choices as
`{"choice_id", "choice"}`. A question is about a part of its video, from `start` to `end`; the network sees the whole.
"""

from pathlib import Path

import pyarrow as pa

from ..annotations import QASource, QuestionTable, json_list_rows, read_choice_table
from ..breakdowns import OneOf
from ..errors import InputError

QUESTION_TYPES = {kind: kind for kind in ("Interaction", "Sequence", "Prediction", "Feasibility")}


def read_questions(path: str | Path) -> QuestionTable:
    """Reads one of the published files. Raises InputError when it is anything else."""
    return read_choice_table(path, "star", _rows, {"type": pa.string()})


def _rows(path: Path):
    for where, record in json_list_rows(path):
        try:
            choices = [choice["choice"] for choice in record["choices"]]
        except (KeyError, TypeError):
            raise InputError(f"{path}, {where}: 'choices' is no list of choices") from None
        answer = record.get("answer", "")  # the test split's are not published
        if answer not in ("", *choices):
            raise InputError(f"{path}, {where}: the answer {answer!r} is none of its choices")
        row = {name: record.get(name) for name in ("question", "video_id")}
        row |= {"qid": record.get("question_id"), "type": str(record.get("question_id")).partition("_")[0]}
        yield where, {**row, "choices": choices, "right": choices.index(answer) if answer else ""}


SOURCE = QASource(
    name="star",
    split_files={"train": "STAR_train.json", "val": "STAR_val.json", "test": "STAR_test.json"},
    read_questions=read_questions,
    frame_directory="{video_id}",
    feature_key="{video_id}",
    num_answers_in_predictions=1,
    breakdowns=(OneOf("type", "type", QUESTION_TYPES),),
)
