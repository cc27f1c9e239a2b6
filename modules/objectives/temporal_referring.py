"""Temporal Referring Modeling: pre-training of the temporal stream on the order of events (paper, section 4).

Letters: Q questions, one about each joined video.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MeanMetric, Metric

from datasets.trm.questions import QUESTION_TYPES
from modules.models.referring import ReferringDeST

from .alignment import alignment_loss, count_on_all_ranks
from .example import Example, best_guesses
from .objective import Objective
from .settings import OptimizerSettings
from .weighted_mean import WeightedMean


class TypeAccuracy(Metric):
    """Counts of the questions of each type, asked and answered right, over all ranks."""

    asked: Tensor
    right: Tensor

    def __init__(self):
        super().__init__()
        self.add_state("asked", torch.zeros(len(QUESTION_TYPES), dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("right", torch.zeros(len(QUESTION_TYPES), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, types: Tensor, correct: Tensor) -> None:
        """int64 ``[Q]``, bool ``[Q]``."""
        one_hot = F.one_hot(types, len(QUESTION_TYPES))  # not bincount, which makes the host wait
        self.asked += one_hot.sum(0)
        self.right += (one_hot * correct[:, None]).sum(0)

    def compute(self) -> Tensor:
        """int64 ``[2, types]``: asked, right."""
        return torch.stack([self.asked, self.right])


class TemporalReferring(Objective):
    """Choice among captions (cross-entropy) + alignment of clips and captions (contrastive).

    Args:
        freeze, seed, compile, grad_checkpointing: see `Objective`. What pre-training does not use is always frozen.
    """

    model: ReferringDeST
    network_class = ReferringDeST

    def __init__(
        self,
        network: ReferringDeST,
        optimizer: OptimizerSettings,
        freeze: Iterable[str] = (),
        seed: int = 0,
        compile: bool = False,
        grad_checkpointing: bool = False,
    ):
        super().__init__(network, optimizer, freeze, seed, compile, grad_checkpointing)
        # Without a gradient they would make DistributedDataParallel wait for ever.
        for parameter in network.unused_parameters():
            parameter.requires_grad_(False)
        # See `OpenEndedQA` for the strategy.
        self.val_choice_loss = MeanMetric(nan_strategy="disable")
        self.val_alignment_loss = WeightedMean()
        self.val_accuracy = TypeAccuracy()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """The loss whose average over ranks is that of the joined batch, however unequal their shares."""
        self.model.keep_tau_in_range()
        found = self.model.refer(batch)
        labels, num_questions = batch["labels"], len(batch["labels"])
        counts = count_on_all_ranks(num_questions, len(found.clips), group=self.host_group)
        questions, clips = ([count[kind] for count in counts] for kind in range(2))
        choice = F.cross_entropy(found.logits, labels)
        alignment = alignment_loss(found.clips, found.captions, self.model.tau, clips)
        self.log("train/trm_loss", choice, batch_size=num_questions)
        self.log("train/align_loss", alignment, batch_size=num_questions)
        accuracy = (found.logits.detach().argmax(1) == labels).float().mean()
        self.log("train/accuracy", accuracy, batch_size=num_questions)
        self.log("train/tau", self.model.tau.detach(), batch_size=num_questions)
        # Gradients are averaged over ranks, each with a mean over its own rows: weigh it by its share of all rows.
        choice = choice * (len(counts) * num_questions / sum(questions))
        alignment = alignment * (len(counts) * len(found.clips) / sum(clips))
        loss = choice + alignment
        self.log("train/loss", loss, batch_size=num_questions)
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        found, labels = self.model.refer(batch), batch["labels"]
        self.val_choice_loss.update(F.cross_entropy(found.logits, labels, reduction="none"))
        # Among the clips of the batch: ranks may have different numbers of batches, so none waits for another here.
        alignment = alignment_loss(found.clips, found.captions, self.model.tau)
        self.val_alignment_loss.update(alignment, torch.full_like(alignment, len(found.clips)))
        self.val_accuracy.update(batch["types"], found.logits.argmax(1) == labels)
        return {"logits": found.logits}

    def example(self, batch: dict[str, Any], outputs: dict[str, Tensor], index: int) -> Example:
        """A question of a validation batch with the best choices, to look at."""
        choices = batch["choice_texts"][index]
        return Example(
            question=batch["question_texts"][index],
            answer=choices[int(batch["labels"][index])],
            guesses=best_guesses(outputs["logits"][index], choices),
        )

    def on_validation_epoch_end(self) -> None:
        choice, alignment = self.val_choice_loss.compute(), self.val_alignment_loss.compute()
        counts = self.val_accuracy.compute().double()
        for metric in (self.val_choice_loss, self.val_alignment_loss, self.val_accuracy):
            metric.reset()
        values = {"val/trm_loss": choice, "val/align_loss": alignment, "val/loss": choice + alignment}
        for kind, (asked, right) in enumerate(counts.T.tolist()):
            if asked:
                values[f"val/accuracy_type{kind}"] = right / asked
        asked, right = counts.sum(1).tolist()
        values["val/accuracy"] = right / asked
        for name, value in values.items():
            # The metrics have summed over the ranks: all hold the same value, and their mean changes nothing. Lightning
            # puts plain numbers on the device, but leaves tensors where they are: of the CPU, NCCL would refuse them.
            self.log(name, value, sync_dist=True)

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> list[dict[str, Any]]:
        """One record per question: ``qid, type``, and whether it was answered right (``correct``)."""
        correct = self.model.refer(batch).logits.argmax(1) == batch["labels"]
        found = torch.stack([batch["types"], correct.long()], 1).tolist()  # read at once
        return [
            {"qid": qid, "type": kind, "correct": bool(right)}
            for qid, (kind, right) in zip(batch["qids"], found, strict=True)
        ]

    def summarize(self, records: list[dict[str, Any]]) -> tuple[dict[str, dict[str, Any]], str]:
        """Counts of the questions that the records of all ranks answer right, by type, as data and as a table."""
        counts = tally((record["type"], record["correct"]) for record in records)
        return counts, format_counts(counts)


def tally(results: Iterable[tuple[int, bool]]) -> dict[str, dict[str, Any]]:
    """(type, whether it was answered right) of each question -> ``questions, correct, accuracy`` by type and of all.

    The accuracy of a type that was not asked is None.
    """
    by_type: dict[str, list[bool]] = {name: [] for name in QUESTION_TYPES}
    for kind, correct in results:
        by_type[QUESTION_TYPES[kind]].append(bool(correct))
    by_type["all"] = [correct for own in by_type.values() for correct in own]
    return {
        name: {"questions": len(own), "correct": sum(own), "accuracy": sum(own) / len(own) if own else None}
        for name, own in by_type.items()
    }


def format_counts(counts: Mapping[str, Mapping[str, Any]]) -> str:
    """The result of `tally`, as a table."""
    lines = [f"{'type':18}{'questions':>12}{'correct':>12}{'accuracy':>14}"]
    for kind, (name, own) in enumerate(counts.items()):
        title = name if name == "all" else f"{kind}  {name}"
        accuracy = "no questions" if own["accuracy"] is None else f"{own['accuracy']:.2%}"
        lines.append(f"{title:18}{own['questions']:>12,}{own['correct']:>12,}{accuracy:>14}")
    return "\n".join(lines)
