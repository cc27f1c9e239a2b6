"""MSRVTT-QA: 244,000 questions about 10,000 web videos (Xu et al., ACM MM 2017), in its published files.

`{train,val,test}_qa.json` list `{"id", "question", "answer", "video_id", "category_id"}` with numbers as ids;
the videos are `video0.mp4`, `video1.mp4`, … No vocabulary is published: `preproc/make_vocabulary.py` makes one.
"""

from pathlib import Path

import pyarrow as pa

from ..annotations import QASource, QuestionTable, json_list_rows, read_table
from ..breakdowns import OneOf
from ..errors import InputError

# The question word decides on the type.
QUESTION_TYPES = {word: word for word in ("what", "who", "how", "when", "where")}


def read_questions(path: str | Path) -> QuestionTable:
    """Reads one of the published files. Raises InputError when it is anything else."""
    return read_table(path, "msrvttqa", _rows, {"type": pa.string()})


def _rows(path: Path):
    for where, record in json_list_rows(path):
        for name in ("id", "video_id"):
            if type(record.get(name)) is not int:
                raise InputError(f"{path}, {where}: {name!r} is {record.get(name)!r}, not a number")
        row = {**record, "qid": str(record["id"]), "video_id": f"video{record['video_id']}"}
        row["type"] = str(record.get("question", "")).partition(" ")[0].lower()
        yield where, row


SOURCE = QASource(
    name="msrvttqa",
    split_files={"train": "train_qa.json", "val": "val_qa.json", "test": "test_qa.json"},
    read_questions=read_questions,
    frame_directory="{video_id}",
    feature_key="{video_id}",
    num_answers_in_predictions=1,
    breakdowns=(OneOf("question word", "type", QUESTION_TYPES),),
)
