"""Open-ended video question answering: one answer out of a vocabulary (ActivityNet-QA, AGQA, …)."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MeanMetric

from datasets.qa import IGNORE_INDEX
from modules.models.chunks import free_memory, questions_that_fit
from modules.models.dest import DeST

from .example import GUESSES, Example
from .objective import Objective
from .settings import OptimizerSettings


class OpenEndedQA(Objective):
    """Cross-entropy over the answer vocabulary.

    Args:
        network: with the spatial stream.
        optimizer: rates and schedule.
        vocabulary: the answers, by index.
        answer_ids, answer_mask: int ``[A, L]``, the tokenised vocabulary.
        num_answers_in_predictions: more than 1: predictions carry as many best answers (``answer10`` for 10).
        per_gpu_batchsize: questions in one pass at inference, on a GPU as many times that as `chunks` finds to fit.
        freeze, seed, compile, grad_checkpointing: see `Objective`.
    """

    network_class = DeST

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
        super().__init__(network, optimizer, freeze, seed, compile, grad_checkpointing)
        self.vocabulary = list(vocabulary)
        self.num_answers_in_predictions = min(num_answers_in_predictions, len(self.vocabulary))
        self.questions_at_once = per_gpu_batchsize
        self.register_buffer("answer_ids", answer_ids, persistent=False)
        self.register_buffer("answer_mask", answer_mask, persistent=False)
        self.answer_lengths = answer_mask.sum(1).tolist()
        self.answer_features: Tensor | None = None  # [A, head_width] while the weights stand still
        self.free_memory: int | None = None  # bytes, when inference began
        # Torchmetrics' search for numbers to leave out would wait for the device, and hide a loss that is not finite.
        self.val_loss = MeanMetric(nan_strategy="disable")
        self.val_accuracy = MeanMetric(nan_strategy="disable")

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        memory = self.model.project_videos(self.model.encode_videos(batch))
        features = self.model.question_features(
            batch["question_ids"], batch["question_mask"], memory, batch["questions_in_video"]
        )
        answers = self.model.encode_answers(self.answer_ids, self.answer_mask, self.answer_lengths)
        logits = self.model.score(features, answers)
        loss = F.cross_entropy(logits, batch["labels"], ignore_index=IGNORE_INDEX)
        num_questions = len(batch["labels"])
        self.log("train/loss", loss, batch_size=num_questions)
        accuracy = (logits.detach().argmax(1) == batch["labels"]).float().mean()
        self.log("train/accuracy", accuracy, batch_size=num_questions)
        return loss

    # --- inference: answers once a run, videos once a video, questions in chunks -------------------------------------

    def _prepare(self) -> None:
        self.free_memory = free_memory(self.device)
        self.answer_features = self.model.encode_answers(self.answer_ids, self.answer_mask, self.answer_lengths)

    def _forget_vocabulary(self) -> None:
        self.answer_features = None

    def on_validation_start(self) -> None:
        self._prepare()

    def on_validation_end(self) -> None:
        self._forget_vocabulary()

    def on_predict_start(self) -> None:
        self._prepare()

    def on_predict_end(self) -> None:
        self._forget_vocabulary()

    def score(self, batch: dict[str, Any]) -> Tensor:
        """Logits ``[Q, A]`` in float32, with the vocabulary's features of this run."""
        num_frames, length = batch["frames"].shape[1], batch["question_ids"].shape[1]
        at_once = questions_that_fit(self.questions_at_once, self.model.sizes, num_frames, length, self.free_memory)
        features = self.model.question_features_in_chunks(batch, at_once)
        return self.model.score(features, self.answer_features)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        logits, labels = self.score(batch), batch["labels"]
        known = labels != IGNORE_INDEX
        losses = F.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="none")
        self.val_loss.update(losses, weight=known.float())  # a mean over the questions that have a label
        self.val_accuracy.update((logits.argmax(1) == labels).float())  # outside the vocabulary: wrong
        self.log("val/loss", self.val_loss, batch_size=len(labels))
        self.log("val/accuracy", self.val_accuracy, batch_size=len(labels))
        return {"logits": logits}

    def example(self, batch: dict[str, Any], outputs: dict[str, Tensor], data: Any, index: int) -> Example:
        """A question of a validation batch with the best answers, to look at.

        Args:
            batch, outputs: of `validation_step`.
            data: the data module, which knows the texts.
            index: of the question.
        """
        best = outputs["logits"][index].softmax(0).topk(min(GUESSES, len(self.vocabulary)))
        guesses = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return Example(
            *data.validation_texts(batch["qids"][index]),
            guesses=[(self.vocabulary[answer], share) for answer, share in guesses],
            frames=batch["frames"][batch["video_index"][index]],
        )

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> list[dict[str, Any]]:
        """One record a question, as ``result/*.json`` has it: ``qid, answer`` and, if asked for, the best ten."""
        best = self.score(batch).topk(self.num_answers_in_predictions, dim=1).indices.tolist()
        records = []
        for qid, indices in zip(batch["qids"], best, strict=True):
            answers = [self.vocabulary[index] for index in indices]
            records.append({"qid": qid, "answer": answers[0]})
            if self.num_answers_in_predictions > 1:
                records[-1]["answer10"] = answers
        return records

    def summarize(self, records: list[dict[str, Any]], data: Any) -> tuple[list[dict[str, Any]], str]:
        """The records of all ranks in the order of the test questions, and in words how many of them are right.

        Args:
            records: what `predict_step` returned.
            data: the data module; its ``test_answers`` are the truth.
        """
        truth = data.test_answers
        by_qid = {record["qid"]: record for record in records}
        assert len(records) == len(by_qid) == len(truth), "each question exactly once"
        records = [by_qid[qid] for qid in truth]
        correct = sum(record["answer"] == answer for record, answer in zip(records, truth.values(), strict=True))
        return records, f"{len(truth)} questions, accuracy {100 * correct / len(truth):.2f} %"
