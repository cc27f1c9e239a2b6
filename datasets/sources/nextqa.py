"""NExT-QA, multiple choice: 48,000 questions about 5,400 videos (Xiao et al., CVPR 2021), in its published files.

`{train,val,test}.csv`, and beside them `map_vid_vidorID.json`, which says of each video what it is in VidOR's download.
"""

from pathlib import Path, PurePosixPath

import pyarrow as pa

from ..annotations import QASource, QuestionTable, csv_rows, read_choice_table
from ..breakdowns import Merged, OneOf
from ..errors import InputError
from ..files import read_json

CHOICES = ("a0", "a1", "a2", "a3", "a4")
COLUMNS = ("video", "question", "answer", "qid", "type", *CHOICES)
MAP = "map_vid_vidorID.json"

QUESTION_TYPES = {
    "CW": "CW: why",
    "CH": "CH: how",
    "TP": "TP: before",
    "TN": "TN: after",
    "TC": "TC: while",
    "DC": "DC: how many",
    "DL": "DL: where",
    "DO": "DO: other",
}
OFFICIAL_GROUPS = {
    "TN (with TP)": ("TP", "TN"),
    "C: causal": ("CW", "CH"),
    "T: temporal": ("TP", "TN", "TC"),
    "D: descriptive": ("DC", "DL", "DO"),
}


def read_questions(path: str | Path) -> QuestionTable:
    """Reads one of the published files. Raises InputError when it is anything else."""
    return read_choice_table(path, "nextqa", _rows, {"type": pa.string()})


def _rows(path: Path):
    places = read_json(path.with_name(MAP))  # video -> folder/file, without its suffix
    if not isinstance(places, dict):
        raise InputError(f"{path.with_name(MAP)} is not a JSON object of video -> file")
    for where, row in csv_rows(path, COLUMNS):
        if row["type"] not in QUESTION_TYPES:
            raise InputError(f"{path}, {where}: the type is {row['type']!r}; there are {', '.join(QUESTION_TYPES)}")
        if row["video"] not in places:
            raise InputError(f"{path}, {where}: {MAP} does not have the video {row['video']!r}")
        if not isinstance(places[row["video"]], str):
            raise InputError(f"{path}, {where}: {MAP} has {places[row['video']]!r} for the video {row['video']!r}")
        yield (
            where,
            {
                "qid": f"{row['video']}_{row['qid']}",
                "question": row["question"],
                "video_id": PurePosixPath(places[row["video"]]).name,
                "type": row["type"],
                "choices": [row[name] for name in CHOICES],
                "right": row["answer"],
            },
        )


SOURCE = QASource(
    name="nextqa",
    split_files={"train": "train.csv", "val": "val.csv", "test": "test.csv"},
    read_questions=read_questions,
    frame_directory="{video_id}",
    feature_key="{video_id}",
    num_answers_in_predictions=1,
    breakdowns=(OneOf("type", "type", QUESTION_TYPES), Merged("official group", "type", OFFICIAL_GROUPS)),
)
