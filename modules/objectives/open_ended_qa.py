"""Open-ended video question answering: one answer out of a vocabulary (ActivityNet-QA, AGQA, …)."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from modules.models.dest import DeST

from .question_answering import QuestionAnswering
from .settings import OptimizerSettings
from .step_features import StepFeatures

SCORE_DIGITS = 5  # of the probabilities in predictions


class OpenEndedQA(QuestionAnswering):
    """Cross-entropy over the answer vocabulary.

    Args:
        network, optimizer, per_gpu_batchsize: see `QuestionAnswering`.
        vocabulary: the answers, by index.
        answer_ids, answer_mask: int ``[A, L]``, the tokenized vocabulary.
        num_answers_in_predictions: more than 1: predictions carry as many best answers (``answer10``),
            and their probabilities (``scores10``); 1: that of the only one (``score``).
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
        self.step_answers = StepFeatures(self._encode_vocabulary)  # the same in training

    def _encode_vocabulary(self) -> Tensor:
        return self.model.encode_answers(self.answer_ids, self.answer_mask, self.answer_lengths)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        answers = self.step_answers.of_batch(self.begins_step, self.ends_step)
        return self.learn(self.model(batch, answers), batch["labels"])

    # --- inference: answers once per run, questions in chunks --------------------------------------------------------

    def _prepare(self) -> None:
        super()._prepare()
        self.answer_features = self._encode_vocabulary()

    def _forget_vocabulary(self) -> None:
        self.answer_features = None

    def on_validation_end(self) -> None:
        self._forget_vocabulary()

    def on_predict_end(self) -> None:
        self._forget_vocabulary()

    def score(self, batch: dict[str, Any], kept: dict[tuple, Tensor] | None = None) -> Tensor:
        """Logits ``[Q, A]`` in float32, with the vocabulary's features of this run; `kept` as of `DeST.forward`."""
        return self.model(batch, self.answer_features, self._at_once(batch), kept)

    def answers_to(self, batch: dict[str, Any], index: int) -> Sequence[str]:
        return self.vocabulary

    def records(self, batch: dict[str, Any], logits: Tensor) -> list[dict[str, Any]]:
        """One record per question: ``qid, answer`` and its probability, or ten of each; see `summarize`."""
        values, best = logits.topk(self.num_answers_in_predictions, dim=1)
        shares = (values - logits.logsumexp(1, keepdim=True)).exp()  # of the whole vocabulary
        both = torch.stack((best.to(shares.dtype), shares)).tolist()  # brought to the host at once
        records = []
        for index, qid, truth, found, scores in zip(
            batch["indices"], batch["qids"], batch["answer_texts"], *both, strict=True
        ):
            answers = [self.vocabulary[int(answer)] for answer in found]
            scores = [round(score, SCORE_DIGITS) for score in scores]
            record = {"index": index, "correct": answers[0] == truth, "qid": qid, "answer": answers[0]}
            several = {"answer10": answers, "scores10": scores}
            records.append(record | (several if self.num_answers_in_predictions > 1 else {"score": scores[0]}))
        return records
