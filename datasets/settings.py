"""Declarations of settings: a dataclass per part of the code, each field with its type, range, default and meaning.

    nframe: Annotated[int, Range(1, 4096)] = setting(16, "frames per video, spatial stream", Tie.INFERENCE)

They stand in a `settings.py` beside what they configure; `config.py` composes them to the keys of the command line.
A default is stated there alone: constructors that want it write ``nframe: int = DataSettings.nframe``.
"""

import copy
import dataclasses
import math
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any


class Tie(Enum):
    """The bond between a setting and a checkpoint; the record in each checkpoint has all settings of its run."""

    NONE = "free"
    WEIGHTS = "fixed by the weights, which no other size can hold"
    INFERENCE = "shared by a test or a resumed run with the training that made the checkpoint"
    TASK = "says what the checkpoint is for, when no recipe does"
    OPTIMIZER = "kept in the optimizer, so that a resumed run must have the same"
    COURSE = "may change in a resumed run, which says so"


@dataclass(frozen=True)
class Range:
    """The numbers that a setting may take; the type of a setting carries one in `Annotated`."""

    low: float
    high: float = math.inf
    low_is_allowed: bool = True
    high_is_allowed: bool = True

    def __contains__(self, value: float) -> bool:
        above = self.low <= value if self.low_is_allowed else self.low < value
        below = value <= self.high if self.high_is_allowed else value < self.high
        return above and below and math.isfinite(value)

    def __str__(self) -> str:
        low = f"{'≥' if self.low_is_allowed else '>'} {self.low:g}"
        if self.high == math.inf:
            return low
        return f"{low} and {'≤' if self.high_is_allowed else '<'} {self.high:g}"


Count = Annotated[int, Range(1)]
Whole = Annotated[int, Range(0)]
Amount = Annotated[float, Range(0)]
Positive = Annotated[float, Range(0, low_is_allowed=False)]
Tokens = Annotated[int, Range(3)]  # [CLS], a word, [SEP]


def setting(default: Any, meaning: str, tie: Tie = Tie.NONE) -> Any:
    """A field of a settings dataclass; a list or a dict as default is copied for every instance."""
    metadata = {"meaning": meaning, "tie": tie}
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: copy.copy(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def tied(schema: type, *ties: Tie) -> list[str]:
    """Names of the settings with one of these ties, in order of their declaration."""
    return [field.name for field in dataclasses.fields(schema) if field.metadata["tie"] in ties]
