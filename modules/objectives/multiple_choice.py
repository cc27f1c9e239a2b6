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

    def score(self, batch: dict[str, Any]) -> Tensor:
        """Logits of the choices in float32, ``[Q, C]``, at inference."""
        return self.model(batch, questions_at_once=self._at_once(batch)).gather(1, batch["choices"])

    def answers_to(self, batch: dict[str, Any], index: int) -> Sequence[str]:
        return batch["choice_texts"][index]

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> list[dict[str, Any]]:
        """One record per question; see `summarize`, which takes those of all ranks."""
        records = []
        for row, found in enumerate(self.score(batch).argmax(1).tolist()):
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
        """As of `QuestionAnswering`, in NExT-QA's form: ``{qid: {"prediction": index, "answer": the right one's}}``."""
        kept, report = super().summarize(records)
        return {record.pop("qid"): record for record in kept}, report
