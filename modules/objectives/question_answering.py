"""Shared by the objectives of question answering: loss, metrics, and questions in chunks at inference."""

from collections.abc import Iterable, Sequence
from typing import Any

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
from .weighted_mean import WeightedMean


class QuestionAnswering(Objective):
    """Cross-entropy over the answers to a question, which subclasses choose.

    These define `score`, `answers_to`, `records` and `training_step`.

    Args:
        network: with the spatial stream.
        optimizer: rates and schedule.
        per_gpu_batchsize: questions in one pass at inference, on a GPU as many times that as `chunks` finds to fit.
        freeze, seed, compile, grad_checkpointing: see `Objective`.
    """

    network_class = DeST

    def __init__(
        self,
        network: DeST,
        optimizer: OptimizerSettings,
        per_gpu_batchsize: int = 16,
        freeze: Iterable[str] = (),
        seed: int = 0,
        compile: bool = False,
        grad_checkpointing: bool = False,
    ):
        super().__init__(network, optimizer, freeze, seed, compile, grad_checkpointing)
        self.questions_at_once = per_gpu_batchsize
        self.free_memory: int | None = None  # bytes, when inference began
        # Torchmetrics' search for numbers to leave out would wait for the device, and hide a loss that is not finite.
        self.val_loss = WeightedMean()
        self.val_accuracy = MeanMetric(nan_strategy="disable")

    def score(self, batch: dict[str, Any], kept: dict[tuple, Tensor] | None = None) -> Tensor:
        """Logits of the answers in float32, ``[Q, A]``, at inference; `kept` as of `DeST.forward`."""
        raise NotImplementedError

    def answers_to(self, batch: dict[str, Any], index: int) -> Sequence[str]:
        """The answers that `score` scores for a question of a batch."""
        raise NotImplementedError

    def learn(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of a training step, which is logged: logits ``[Q, A]``, labels ``[Q]``."""
        loss = F.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX)
        self.log("train/loss", loss, batch_size=len(labels))
        accuracy = (logits.detach().argmax(1) == labels).float().mean()
        self.log("train/accuracy", accuracy, batch_size=len(labels))
        return loss

    def _prepare(self) -> None:
        self.free_memory = free_memory(self.device)

    def on_validation_start(self) -> None:
        self._prepare()

    def on_predict_start(self) -> None:
        self._prepare()

    def _at_once(self, batch: dict[str, Any]) -> int:
        views = batch["views"]["frames"].values() if "views" in batch else [batch["frames"]]
        num_frames, length = max(frames.shape[1] for frames in views), batch["questions"].ids.shape[1]
        return questions_that_fit(self.questions_at_once, self.model.sizes, num_frames, length, self.free_memory)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        logits, labels = self.score(batch), batch["labels"]
        known = labels != IGNORE_INDEX
        losses = F.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="none")
        self.val_loss.update(losses, known.float())  # a mean over the questions that have a label
        self.val_accuracy.update((logits.argmax(1) == labels).float())  # without a label: wrong
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
            best_guesses(outputs["logits"][index], self.answers_to(batch, index)),
            frames=batch["frames"][batch["questions"].video(index)],
        )

    def records(self, batch: dict[str, Any], logits: Tensor) -> list[dict[str, Any]]:
        """One record per question of a batch, for `summarize`."""
        raise NotImplementedError

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> list[dict[str, Any]]:
        """One record per question and probe; see `summarize`, which takes those of all ranks."""
        if "probes" not in batch:
            return self.records(batch, self.score(batch))
        kept: dict[tuple, Tensor] = {}  # what a probe does not touch is computed once
        return [
            record | {"probe": probe}
            for probe in batch["probes"]
            for record in self.records(batch, self.score(probed(batch, probe), kept))
        ]

    def summarize(self, records: list[dict[str, Any]]) -> tuple[Any, str]:
        """The records of all ranks as ``result/*.json`` has them.

        Args:
            records: what `predict_step` returned, in any order; of one probe.

        Returns:
            them in the order of the test questions, without what is for here alone; in words how many are right.
        """
        records = sorted(records, key=lambda record: record["index"])
        assert [record["index"] for record in records] == list(range(len(records))), "each question exactly once"
        correct = sum(record["correct"] for record in records)
        kept = [
            {name: record[name] for name in record if name not in ("index", "correct", "probe")} for record in records
        ]
        return kept, f"{len(kept)} questions, accuracy {100 * correct / len(kept):.2f} %"
