"""Declarations of settings: a dataclass per part of the code, each field with its type, range, default and meaning.

    nframe: Annotated[int, Interval(ge=1, le=4096)] = setting(16, "frames per video, spatial stream", Tie.INFERENCE)

They stand in a `settings.py` beside what they configure; `config.py` composes them to the keys of the command line.
A default is stated there alone: constructors that want it write ``nframe: int = DataSettings.nframe``.
"""

import copy
import dataclasses
from enum import Enum
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt


class Tie(Enum):
    """The bond between a setting and a checkpoint; the record in each checkpoint has all settings of its run."""

    NONE = "free"
    WEIGHTS = "fixed by the weights, which no other size can hold"
    INFERENCE = "shared by a test or a resumed run with the training that made the checkpoint"
    TASK = "says what the checkpoint is for, when no recipe does"
    OPTIMIZER = "kept in the optimizer, so that a resumed run must have the same"
    COURSE = "may change in a resumed run, which says so"


Count = Annotated[int, Ge(1)]
Whole = Annotated[int, Ge(0)]
Amount = Annotated[float, Ge(0)]
Positive = Annotated[float, Gt(0)]
Tokens = Annotated[int, Ge(3)]  # [CLS], a word, [SEP]
ProbeName = Literal[
    "all",
    "none",
    "reverse_clips",
    "shuffle_clips",
    "freeze_clips",
    "no_clips",
    "reverse_frames",
    "shuffle_frames",
    "one_frame",
    "no_frames",
    "swap_video",
    "question_only",
]


def setting(default: Any, meaning: str, tie: Tie = Tie.NONE) -> Any:
    """A field of a settings dataclass; a list or a dict as default is copied for every instance."""
    metadata = {"meaning": meaning, "tie": tie}
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: copy.copy(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def tied(schema: type, *ties: Tie) -> list[str]:
    """Names of the settings with one of these ties, in order of their declaration."""
    return [field.name for field in dataclasses.fields(schema) if field.metadata["tie"] in ties]
