"""Multiple choice: one answer out of the few that each question offers (NExT-QA, STAR)."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from .question_answering import QuestionAnswering


class MultipleChoice(QuestionAnswering):
    """Cross-entropy over the choices of each question. Arguments: see `QuestionAnswering`.

    The network scores the A distinct texts of a batch, each encoded once, for all Q questions; those of a question's C
    choices are picked out.
    """

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        return self.learn(self.model(batch).gather(1, batch["choices"]), batch["labels"])

    def score(self, batch: dict[str, Any], kept: dict[tuple, Tensor] | None = None) -> Tensor:
        """Logits of the choices in float32, ``[Q, C]``, at inference; `kept` as of `DeST.forward`."""
        return self.model(batch, None, self._at_once(batch), kept).gather(1, batch["choices"])

    def answers_to(self, batch: dict[str, Any], index: int) -> Sequence[str]:
        return batch["choice_texts"][index]

    def records(self, batch: dict[str, Any], logits: Tensor) -> list[dict[str, Any]]:
        """One record per question: the index of the ``prediction`` and that of the right ``answer``."""
        records = []
        for row, found in enumerate(logits.argmax(1).tolist()):
            choices, truth = self.answers_to(batch, row), batch["answer_texts"][row]
            records.append(
                {
                    "index": batch["indices"][row],
                    "correct": choices[found] == truth,
                    "qid": batch["qids"][row],
                    "prediction": found,
                    "answer": choices.index(truth) if truth else None,
                }
            )
        return records

    def summarize(self, records: list[dict[str, Any]]) -> tuple[dict[str, dict[str, Any]], str]:
        """Orders the records, in NExT-QA's form: ``{qid: {"prediction": index, "answer": that of the right one}}``."""
        kept, report = super().summarize(records)
        return {record.pop("qid"): record for record in kept}, report
