"""AGQA 2.0: composed questions about 9,600 videos of everyday acts (Grunde-McLaughlin et al., arXiv 2204.06105).

Its files are written by `preproc/preproc_agqa.py`.
"""

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..annotations import QASource, QuestionTable, json_object_rows, read_table
from ..breakdowns import AnyOf, Breakdown, Flags, IfRight, Numbers, OneOf
from ..errors import InputError
from ..question_table import Row, text_problem

_GLOBAL = "obj-rel rel-act obj-act superlative sequencing exists duration-comparison action-recognition"
GLOBAL = tuple(_GLOBAL.split())
SEMANTIC = ("object", "relation", "action")
STRUCTURAL = ("query", "compare", "choose", "logic", "verify")
ANSWER_TYPES = ("binary", "open")

NOVEL_COMPOSITION = {
    "novel_comp": "all novel compositions",
    "nc_seq": "sequencing",
    "nc_sup": "superlative",
    "nc_dur": "duration",
    "nc_objrel": "object-relationship",
}
INDIRECT_REFERENCE = {
    "indirect": "all indirect references",
    "i_obj": "object",
    "i_rel": "relationship",
    "i_act": "action",
    "i_temp": "temporal",
}
MORE_STEPS = {"more_steps": "more steps"}

# What every record has, of all that training and evaluation read; OPTIONAL and flags (see `is_flag`) some have.
_TEXTS = ("question", "answer", "video_id", "semantic", "structural", "ans_type")
FIELDS = (*_TEXTS, "global")
OPTIONAL = ("steps", "direct_equiv")  # number of compositional steps; the same question without indirect references


def is_flag(name: str) -> bool:
    """Tells whether a field of a record says if the question is in one of AGQA's further splits."""
    return name in ("novel_comp", "more_steps", "indirect") or name.startswith(("nc_", "i_"))


@functools.lru_cache(256)
def flags_among(names: tuple[str, ...]) -> tuple[str, ...]:
    """The flags among the fields of a record. Cached: few layouts are shared by millions of records."""
    return tuple(name for name in names if is_flag(name))


def record_problem(record: Mapping[str, Any]) -> str | None:
    """Says what is wrong with FIELDS, OPTIONAL or the flags of a record; None when nothing is."""
    return text_problem(record, _TEXTS) or _label_problem(record)


def _label_problem(record: Mapping[str, Any]) -> str | None:
    categories = record.get("global")
    if not isinstance(categories, list) or not all(isinstance(name, str) for name in categories):
        return f"'global' is {categories!r}, not a list of texts" if "global" in record else "no 'global'"
    if not isinstance(record.get("steps"), int | None):
        return f"'steps' is {record['steps']!r}, not a number"
    if not isinstance(record.get("direct_equiv"), str | None):
        return f"'direct_equiv' is {record['direct_equiv']!r}, not a question id or null"
    for name in flags_among(tuple(record)):
        if not isinstance(record[name], int | None):
            return f"{name!r} is {record[name]!r}, not 0 or 1"
    return None


def read_questions(path: str | Path) -> QuestionTable:
    """Reads `{qid: record}` with FIELDS, OPTIONAL and flags. Raises InputError when it is anything else."""
    columns = {
        "global": pa.list_(pa.string()),
        "semantic": pa.string(),
        "structural": pa.string(),
        "ans_type": pa.string(),
        "steps": pa.int32(),
        "direct_equiv": pa.large_string(),
    }
    return read_table(path, "agqa", _rows, columns, is_flag)


def _rows(path: Path) -> Iterator[Row]:
    for where, record in json_object_rows(path):
        if problem := record_problem(record):
            raise InputError(f"{path}, {where}: {problem}")
        for name in flags_among(tuple(record)):
            record[name] = bool(record[name])
        yield where, record


def _by_name(title: str, kind: type[OneOf] | type[AnyOf], column: str, names: tuple[str, ...]) -> Breakdown:
    return kind(title, column, {name: name for name in names})


_ANSWER_TYPE = _by_name("answer type", OneOf, "ans_type", ANSWER_TYPES)
_INDIRECT = Flags("indirect reference, recall", INDIRECT_REFERENCE, prefix="i_")

SOURCE = QASource(
    name="agqa",
    split_files={"train": "train.json", "val": "val.json", "test": "test.json"},
    read_questions=read_questions,
    frame_directory="{video_id}",
    feature_key="videos/{video_id}",
    num_answers_in_predictions=1,
    breakdowns=(
        _by_name("reasoning (global)", AnyOf, "global", GLOBAL),
        _by_name("semantic", OneOf, "semantic", SEMANTIC),
        _by_name("structural", OneOf, "structural", STRUCTURAL),
        _ANSWER_TYPE,
        Flags("novel compositions", NOVEL_COMPOSITION, prefix="nc_"),
        _INDIRECT,
        Flags("compositional steps", MORE_STEPS),
        Numbers("number of steps", "steps"),
    ),
    within=_ANSWER_TYPE,
    generalisation={"novel compositions": "novel_comp", "compositional steps": "more_steps"},
    if_right=(IfRight("indirect reference, precision", _INDIRECT, "direct_equiv"),),
)
