"""Open-ended video question answering: one answer out of a vocabulary (ActivityNet-QA, AGQA, …)."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from modules.models.dest import DeST

from .question_answering import QuestionAnswering
from .settings import OptimizerSettings


class OpenEndedQA(QuestionAnswering):
    """Cross-entropy over the answer vocabulary.

    Args:
        network, optimizer, per_gpu_batchsize: see `QuestionAnswering`.
        vocabulary: the answers, by index.
        answer_ids, answer_mask: int ``[A, L]``, the tokenised vocabulary.
        num_answers_in_predictions: more than 1: predictions carry as many best answers (``answer10`` for 10).
        freeze, seed, compile, grad_checkpointing: see `Objective`.
    """

    answer_ids: Tensor
    answer_mask: Tensor

    def __init__(
        self,
        network: DeST,
        optimizer: OptimizerSettings,
        vocabulary: Sequence[str],
        answer_ids: Tensor,
        answer_mask: Tensor,
        num_answers_in_predictions: int = 1,
        per_gpu_batchsize: int = 16,
        freeze: Iterable[str] = (),
        seed: int = 0,
        compile: bool = False,
        grad_checkpointing: bool = False,
    ):
        super().__init__(network, optimizer, per_gpu_batchsize, freeze, seed, compile, grad_checkpointing)
        self.vocabulary = list(vocabulary)
        self.num_answers_in_predictions = min(num_answers_in_predictions, len(self.vocabulary))
        self.register_buffer("answer_ids", answer_ids, persistent=False)
        self.register_buffer("answer_mask", answer_mask, persistent=False)
        self.answer_lengths: list[int] = answer_mask.sum(1).tolist()
        self.answer_features: Tensor | None = None  # [A, head_width] while the weights stand still

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        texts = (self.answer_ids, self.answer_mask, self.answer_lengths)
        answers = dict(zip(("answer_ids", "answer_mask", "answer_lengths"), texts, strict=True))
        return self.learn(self.model(batch | answers), batch["labels"])

    # --- inference: answers once per run, questions in chunks --------------------------------------------------------

    def _prepare(self) -> None:
        super()._prepare()
        self.answer_features = self.model.encode_answers(self.answer_ids, self.answer_mask, self.answer_lengths)

    def _forget_vocabulary(self) -> None:
        self.answer_features = None

    def on_validation_end(self) -> None:
        self._forget_vocabulary()

    def on_predict_end(self) -> None:
        self._forget_vocabulary()

    def score(self, batch: dict[str, Any]) -> Tensor:
        """Logits ``[Q, A]`` in float32, with the vocabulary's features of this run."""
        return self.model(batch, self.answer_features, self._at_once(batch))

    def answers_to(self, batch: dict[str, Any], index: int) -> Sequence[str]:
        return self.vocabulary

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> list[dict[str, Any]]:
        """One record per question: ``qid, answer`` and, if asked for, the best ten; see `summarize`."""
        best = self.score(batch).topk(self.num_answers_in_predictions, dim=1).indices.tolist()
        records = []
        for index, qid, truth, found in zip(batch["indices"], batch["qids"], batch["answer_texts"], best, strict=True):
            answers = [self.vocabulary[answer] for answer in found]
            records.append({"index": index, "correct": answers[0] == truth, "qid": qid, "answer": answers[0]})
            if self.num_answers_in_predictions > 1:
                records[-1]["answer10"] = answers
        return records
