"""Groups of questions for which accuracy is reported."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from .question_table import QuestionTable


class Breakdown(Protocol):
    """A way to group questions; a question may be in any number of its categories."""

    @property
    def title(self) -> str:
        """The heading of the group."""

    def members(self, table: "QuestionTable") -> dict[str, np.ndarray]:
        """Category label -> bool [N], True for the questions in it. Categories without a question are there, too."""


@dataclass(frozen=True)
class OneOf:
    """A column that names the one category of a question."""

    title: str  # heading of the group
    column: str  # name of the column (dictionary-encoded strings)
    # value in the column -> label, in the order of the report. Other values follow under their own name.
    labels: Mapping[str, str]

    def members(self, table: "QuestionTable") -> dict[str, np.ndarray]:
        column = table.column(self.column)
        codes = pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False)
        code_of = {value: code for code, value in enumerate(column.dictionary.to_pylist())}
        return {label: codes == code_of.get(value, -2) for value, label in _with_others(self.labels, code_of)}


@dataclass(frozen=True)
class AnyOf:
    """A column that lists the categories of a question; it counts once in each. Attributes as in `OneOf`."""

    title: str
    column: str
    labels: Mapping[str, str]

    def members(self, table: "QuestionTable") -> dict[str, np.ndarray]:
        column = table.column(self.column)
        listed = pc.list_flatten(column).dictionary_encode()
        owners = pc.list_parent_indices(column).to_numpy()
        codes = pc.fill_null(listed.indices, -1).to_numpy(zero_copy_only=False)
        code_of = {value: code for code, value in enumerate(listed.dictionary.to_pylist())}
        members = {}
        for value, label in _with_others(self.labels, code_of):
            members[label] = np.zeros(len(table), dtype=bool)
            members[label][owners[codes == code_of.get(value, -2)]] = True
        return members


@dataclass(frozen=True)
class Flags:
    """Boolean columns, one per category; those that the table does not carry are left out."""

    title: str  # heading of the group
    labels: Mapping[str, str]  # name of the column -> label
    prefix: str | None = None  # columns whose names begin so follow under their own name

    def members(self, table: "QuestionTable") -> dict[str, np.ndarray]:
        names = table.column_names
        others = [name for name in sorted(names) if self.prefix and name.startswith(self.prefix)]
        return {
            label: pc.fill_null(table.column(name), pa.scalar(False)).to_numpy(zero_copy_only=False)
            for name, label in _with_others(self.labels, others)
            if name in names
        }


@dataclass(frozen=True)
class Numbers:
    """A column of whole numbers, each of which that occurs is a category."""

    title: str  # heading of the group
    column: str

    def members(self, table: "QuestionTable") -> dict[str, np.ndarray]:
        numbers = pc.fill_null(table.column(self.column), -1).to_numpy(zero_copy_only=False)
        return {str(number): numbers == number for number in np.unique(numbers) if number >= 0}


@dataclass(frozen=True)
class Merged:
    """Several values of a column under one label."""

    title: str  # heading of the group
    column: str  # name of the column (dictionary-encoded strings)
    values: Mapping[str, tuple[str, ...]]  # label -> values

    def members(self, table: "QuestionTable") -> dict[str, np.ndarray]:
        column = table.column(self.column)
        known = column.dictionary.to_pylist()
        codes = pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False)
        return {
            label: np.isin(codes, [code for code, value in enumerate(known) if value in values])
            for label, values in self.values.items()
        }


@dataclass(frozen=True)
class IfRight:
    """Questions that have a companion, of which a model's score is over those whose companion it has answered right."""

    title: str  # heading of the group
    among: Breakdown  # the categories
    column: str  # name of the column that holds the companion's question id, or null

    def companions(self, table: "QuestionTable") -> np.ndarray:
        """int [N]: the row of each question's companion; -1 where it has none in this table."""
        rows = pc.index_in(table.column(self.column), value_set=table.column("qid"))
        return pc.fill_null(rows, -1).to_numpy(zero_copy_only=False)


def _with_others(labels: Mapping[str, str], values: Iterable[str]) -> list[tuple[str, str]]:
    return [*labels.items(), *((value, value) for value in sorted(values) if value not in labels)]
