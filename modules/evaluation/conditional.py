"""Categories whose questions depend on what else a model has right, such as AGQA's precision of indirect references."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from datasets.annotations import QASource
from datasets.question_table import QuestionTable

_Group = TypeVar("_Group")


@dataclass(frozen=True)
class Conditional:
    """A category; of `IfRight`, other questions count for each prediction file."""

    candidates: np.ndarray  # bool [N], questions that can count: those with a companion
    chosen: np.ndarray  # bool [P, N] for P prediction files, those whose companion the file answers right

    def among(self, mask: np.ndarray) -> "Conditional":
        """Its questions that are in a mask, bool [N]."""
        return Conditional(self.candidates & mask, self.chosen & mask)


def always(members: Mapping[str, Mapping[str, np.ndarray]], number: int) -> dict[str, dict[str, Conditional]]:
    """Categories, bool [N] each, of the same questions for so many prediction files."""
    return {
        title: {label: Conditional(mask, np.broadcast_to(mask, (number, len(mask)))) for label, mask in labels.items()}
        for title, labels in members.items()
    }


def find_conditional(
    source: QASource, table: QuestionTable, correct: Sequence[np.ndarray]
) -> dict[str, dict[str, Conditional]]:
    """Title -> label -> a category, of the groups in which some question has a companion.

    Args:
        correct: bool [N] for each prediction file.
    """
    found = {}
    for group in source.if_right:
        companions = group.companions(table)
        candidates = companions >= 0
        if candidates.any():
            every = Conditional(candidates, np.stack([candidates & right[companions] for right in correct]))
            found[group.title] = {label: every.among(mask) for label, mask in group.among.members(table).items()}
    return found


def in_order(source: QASource, groups: Mapping[str, _Group]) -> dict[str, _Group]:
    """Groups by title, each conditional one behind the breakdown that it belongs to."""
    place = {title: (number, 0) for number, title in enumerate(groups)}
    place |= {group.title: (place[group.among.title][0], 1) for group in source.if_right if group.title in groups}
    return {title: groups[title] for title in sorted(groups, key=place.__getitem__)}
