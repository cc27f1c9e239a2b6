"""ActivityNet-QA: 58,000 questions about 5,800 web videos (Yu et al., AAAI 2019).

Its files are written by `preproc/preproc_anetqa.py`.
"""

from pathlib import Path

import pyarrow as pa

from ..annotations import QASource, QuestionTable, csv_rows, read_table
from ..breakdowns import Merged, OneOf
from ..errors import InputError

COLUMNS = ("qid", "question", "answer", "video_id", "type")

_TYPES = "Motion", "Spatial Relation", "Temporal Relation", "Yes/No", "Color", "Object", "Location", "Number", "Other"
QUESTION_TYPES = {str(number): name for number, name in enumerate(_TYPES)}


def read_questions(path: str | Path) -> QuestionTable:
    """Reads a CSV with COLUMNS. Raises InputError when it is anything else."""
    return read_table(path, "anetqa", _rows, {"type": pa.string()})


def _rows(path: Path):
    for where, row in csv_rows(path, COLUMNS):
        if row["type"] not in QUESTION_TYPES:
            raise InputError(f"{path}, {where}: the type is {row['type']!r}; there are 0 to {len(QUESTION_TYPES) - 1}")
        yield where, row


SOURCE = QASource(
    name="anetqa",
    split_files={"train": "train.csv", "val": "val.csv", "test": "test.csv"},
    read_questions=read_questions,
    frame_directory="v_{video_id}",
    feature_key="{video_id}",
    num_answers_in_predictions=10,
    breakdowns=(
        OneOf("type", "type", QUESTION_TYPES),
        Merged("official group", "type", {"Free (types 3 to 8)": tuple("345678")}),
    ),
)
