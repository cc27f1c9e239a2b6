"""Multiple choice: questions that offer their own answers, as loaders of batches."""

from pathlib import Path

from datasets.annotations import QuestionTable
from datasets.errors import InputError

from .batch import ChoiceCollate
from .qa import QADataModule


class ChoiceDataModule(QADataModule):
    """A `QADataModule` without a vocabulary, whose batches bring the choices of their questions."""

    vocabulary = None  # type: ignore[assignment]

    def _check_answers(self, table: QuestionTable, path: Path, split: str) -> None:
        if not table.has_choices:
            raise InputError(f"the questions of {path} offer no choices: write objective=qa, or another dataset")
        if split == "train" and "" in table.column("answer").dictionary.to_pylist():
            raise InputError(f"{path} has questions whose right choice is not known, which nothing can be trained on")

    def _collate(self) -> ChoiceCollate:
        return ChoiceCollate(self.tokenizer, self.max_text_len, self.max_text_positions)
