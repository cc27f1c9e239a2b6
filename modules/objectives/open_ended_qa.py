"""Open-ended video question answering: one answer out of a vocabulary (ActivityNet-QA, AGQA, …)."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MeanMetric

from datamodules.probes import probed
from datasets.qa import IGNORE_INDEX
from modules.models.chunks import free_memory, questions_that_fit
from modules.models.dest import DeST

from .example import Example, best_guesses
from .objective import Objective
from .settings import OptimizerSettings
from .step_features import StepFeatures
from .weighted_mean import WeightedMean

SCORE_DIGITS = 5  # of the probabilities in predictions


class OpenEndedQA(Objective):
    """Cross-entropy over the answer vocabulary.

    Args:
        network: with the spatial stream.
        optimizer: rates and schedule.
        vocabulary: the answers, by index.
        answer_ids, answer_mask: int ``[A, L]``, the tokenized vocabulary.
        num_answers_in_predictions: more than 1: predictions carry as many best answers (``answer10``),
            and their probabilities (``scores10``); 1: that of the only one (``score``).
        per_gpu_batchsize: questions in one pass at inference, on a GPU as many times that as `chunks` finds to fit.
        freeze, seed, compile, grad_checkpointing: see `Objective`.
    """

    answer_ids: Tensor
    answer_mask: Tensor
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
        self.answer_lengths: list[int] = answer_mask.sum(1).tolist()
        self.answer_features: Tensor | None = None  # [A, head_width] while the weights stand still
        self.step_answers = StepFeatures(self._encode_vocabulary)  # the same in training
        self.free_memory: int | None = None  # bytes, when inference began
        # Torchmetrics' search for numbers to leave out would wait for the device, and hide a loss that is not finite.
        self.val_loss = WeightedMean()
        self.val_accuracy = MeanMetric(nan_strategy="disable")

    def _encode_vocabulary(self) -> Tensor:
        return self.model.encode_answers(self.answer_ids, self.answer_mask, self.answer_lengths)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        logits = self.model(batch, self.step_answers.of_batch(self.begins_step, self.ends_step))
        loss = F.cross_entropy(logits, batch["labels"], ignore_index=IGNORE_INDEX)
        num_questions = len(batch["labels"])
        self.log("train/loss", loss, batch_size=num_questions)
        accuracy = (logits.detach().argmax(1) == batch["labels"]).float().mean()
        self.log("train/accuracy", accuracy, batch_size=num_questions)
        return loss

    # --- inference: answers once per run, questions in chunks --------------------------------------------------------

    def _prepare(self) -> None:
        self.free_memory = free_memory(self.device)
        self.answer_features = self._encode_vocabulary()

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

    def score(self, batch: dict[str, Any], kept: dict[tuple, Tensor] | None = None) -> Tensor:
        """Logits ``[Q, A]`` in float32, with the vocabulary's features of this run; `kept` as of `DeST.forward`."""
        views = batch["views"]["frames"].values() if "views" in batch else [batch["frames"]]
        num_frames, length = max(frames.shape[1] for frames in views), batch["questions"].ids.shape[1]
        at_once = questions_that_fit(self.questions_at_once, self.model.sizes, num_frames, length, self.free_memory)
        return self.model(batch, self.answer_features, at_once, kept)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        logits, labels = self.score(batch), batch["labels"]
        known = labels != IGNORE_INDEX
        losses = F.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="none")
        self.val_loss.update(losses, known.float())  # a mean over the questions that have a label
        self.val_accuracy.update((logits.argmax(1) == labels).float())  # outside the vocabulary: wrong
        self.log("val/loss", self.val_loss, batch_size=len(labels))
        self.log("val/accuracy", self.val_accuracy, batch_size=len(labels))
        return {"logits": logits}

    def example(self, batch: dict[str, Any], outputs: dict[str, Tensor], index: int) -> Example:
        """A question of a validation batch with the best answers, to look at.

        Args:
            batch, outputs: of `validation_step`.
            index: of the question.
        """
        return Example(
            batch["question_texts"][index],
            batch["answer_texts"][index],
            best_guesses(outputs["logits"][index], self.vocabulary),
            frames=batch["frames"][batch["questions"].video(index)],
        )

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> list[dict[str, Any]]:
        """One record per question and probe; see `summarize`, which takes those of all ranks."""
        if "probes" not in batch:
            return self._records(batch, self.score(batch))
        kept: dict[tuple, Tensor] = {}  # what a probe does not touch is computed once
        return [
            record | {"probe": probe}
            for probe in batch["probes"]
            for record in self._records(batch, self.score(probed(batch, probe), kept))
        ]

    def _records(self, batch: dict[str, Any], logits: Tensor) -> list[dict[str, Any]]:
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

    def summarize(self, records: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
        """The records of all ranks as ``result/*.json`` has them: ``qid, answer``, its probability, or ten of each.

        Args:
            records: what `predict_step` returned, in any order; of one probe.

        Returns:
            them in the order of the test questions, and in words how many are right.
        """
        records = sorted(records, key=lambda record: record["index"])
        assert [record["index"] for record in records] == list(range(len(records))), "each question exactly once"
        correct = sum(record["correct"] for record in records)
        kept = [
            {name: record[name] for name in record if name not in ("index", "correct", "probe")} for record in records
        ]
        return kept, f"{len(kept)} questions, accuracy {100 * correct / len(kept):.2f} %"
