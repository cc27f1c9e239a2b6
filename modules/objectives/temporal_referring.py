"""Temporal Referring Modeling: pre-training of the temporal stream on the order of events (paper, section 4).

Letters: Q questions, one about each joined video · S clip features (padded) · N clips in the batch · C choices ·
L tokens · D width · P width of the common space of clips and captions.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanMetric, Metric

from datasets.trm.questions import QUESTION_TYPES
from modules.models.dest import DeST, init_linear
from modules.models.settings import ModelSettings, ModelSizes

from .alignment import alignment_loss, count_on_all_ranks
from .example import GUESSES, Example
from .objective import Objective
from .settings import OptimizerSettings

PROJECTION_WIDTH = 256  # P
TAU = 0.07  # the temperature at the start, and …
TAU_RANGE = (0.001, 0.5)  # … where it is kept, as in ALBEF


@dataclass
class Referring:
    """What the two losses of TRM are made of, all float32."""

    logits: Tensor  # [Q, C]
    clips: Tensor  # [N, P], normalised
    captions: Tensor  # [N, P], normalised


class ReferringDeST(DeST):
    """The network in pre-training: no spatial stream, and clips and captions projected into a common space.

    It carries the image encoder along, so that fine-tuning can start from a checkpoint of pre-training alone.

    Args:
        sizes, drop_rate: see `DeST`.
    """

    def __init__(self, sizes: ModelSizes, drop_rate: float = ModelSettings.drop_rate):
        super().__init__(sizes, spatial=False, drop_rate=drop_rate)
        self.vision_proj = nn.Linear(sizes.hidden_size, PROJECTION_WIDTH)
        self.text_proj = nn.Linear(sizes.hidden_size, PROJECTION_WIDTH)
        self.tau = nn.Parameter(torch.tensor(TAU))
        init_linear(self.vision_proj, sizes.init_std)
        init_linear(self.text_proj, sizes.init_std)

    def unused_parameters(self) -> list[nn.Parameter]:
        """Those that pre-training carries along: the image encoder and the fusion layers of `text_encoder`."""
        fusion = self.text_encoder.encoder.fusion_layers
        return [*self.visual_encoder.parameters(), *fusion.parameters()]

    @torch.no_grad()
    def keep_tau_in_range(self) -> None:
        self.tau.clamp_(*TAU_RANGE)

    def refer(self, batch: Mapping[str, Any]) -> Referring:
        """All that the losses need of a batch of `datamodules.trm`."""
        states, mask = self.encode_clips(batch["clips"], batch["clip_mask"])  # [Q, S + 2, D]
        memory = list(self.temporal_encoder.encoder.project_memory(states[:, None]))
        hidden = self.encode_questions(batch["question_ids"], batch["question_mask"])
        one_each = [1] * len(hidden)
        fused = self.temporal_encoder.encoder.fuse(hidden, batch["question_mask"].bool(), memory, 1, one_each, mask)
        questions = self.video_head(fused[:, 0])
        choices = self.ans_encoder(batch["choice_ids"], batch["choice_mask"])
        clips = mean_of_clips(states[:, 1:-1], batch["clip_index"], batch["clip_lengths"])
        captions = self.encode_questions(batch["caption_ids"], batch["caption_mask"])[:, 0]
        with torch.autocast(states.device.type, enabled=False):
            choices = choices.float().unflatten(0, (len(hidden), -1))  # [Q, C, head_width]
            return Referring(
                logits=torch.einsum("qd,qcd->qc", questions.float(), choices),
                clips=F.normalize(self.vision_proj(clips), dim=-1),
                captions=F.normalize(self.text_proj(captions.float()), dim=-1),
            )


def mean_of_clips(states: Tensor, clip_index: Tensor, clip_lengths: Tensor) -> Tensor:
    """The mean state of each clip, in float32.

    Args:
        states: ``[Q, S, D]``.
        clip_index: int64 ``[Q, S]``, the clip of the batch (0 to N - 1) that each state belongs to; N for padding.
        clip_lengths: int64 ``[N]``, how many states each clip has; at least 1.

    Returns:
        ``[N, D]``.
    """
    num_clips = len(clip_lengths)
    sums = torch.zeros(num_clips + 1, states.shape[-1], device=states.device)
    sums = sums.index_add(0, clip_index.flatten(), states.float().flatten(0, 1))
    return sums[:num_clips] / clip_lengths[:, None]


class TypeAccuracy(Metric):
    """How many questions of each type were asked, and how many answered right, over all ranks."""

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
        network: as pre-training has it.
        optimizer: rates and schedule.
        freeze, seed, compile, grad_checkpointing: see `Objective`. What pre-training does not use is always frozen.
    """

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
        self.val_alignment_loss = MeanMetric(nan_strategy="disable")
        self.val_accuracy = TypeAccuracy()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """The loss whose average over ranks is that of the joined batch, however unequal their shares."""
        self.model.keep_tau_in_range()
        found = self.model.refer(batch)
        labels, num_questions = batch["labels"], len(batch["labels"])
        counts = count_on_all_ranks(num_questions, len(found.clips), device=labels.device)
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
        self.val_alignment_loss.update(alignment, weight=torch.full_like(alignment, len(found.clips)))
        self.val_accuracy.update(batch["types"], found.logits.argmax(1) == labels)
        return {"logits": found.logits}

    def example(self, batch: dict[str, Any], outputs: dict[str, Tensor], data: Any, index: int) -> Example:
        """A question of a validation batch with the best choices, to look at.

        Args:
            batch, outputs: of `validation_step`.
            data: the data module, whose tokenizer gives the texts back.
            index: of the question.
        """
        logits = outputs["logits"][index]
        choices = data.tokenizer.decode(batch["choice_ids"].view(-1, len(logits), batch["choice_ids"].shape[1])[index])
        best = logits.softmax(0).topk(min(GUESSES, len(logits)))
        guesses = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return Example(
            question=data.tokenizer.decode(batch["question_ids"][index : index + 1])[0],
            answer=choices[int(batch["labels"][index])],
            guesses=[(choices[choice], share) for choice, share in guesses],
        )

    def on_validation_epoch_end(self) -> None:
        choice, alignment = self.val_choice_loss.compute(), self.val_alignment_loss.compute()
        counts = self.val_accuracy.compute().double()
        for metric in (self.val_choice_loss, self.val_alignment_loss, self.val_accuracy):
            metric.reset()
        values = {"val/trm_loss": choice, "val/align_loss": alignment, "val/loss": choice + alignment}
        for kind, (asked, right) in enumerate(counts.T.tolist()):
            if asked:
                values[f"val/accuracy_type{kind}"] = torch.tensor(right / asked)
        asked, right = counts.sum(1).tolist()
        values["val/accuracy"] = torch.tensor(right / asked)
        for name, value in values.items():
            # The metrics have summed over the ranks: all hold the same value, and their mean changes nothing.
            self.log(name, value, sync_dist=True)

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> list[dict[str, Any]]:
        """One record a question: ``qid, type``, and whether it was answered right (``correct``)."""
        correct = self.model.refer(batch).logits.argmax(1) == batch["labels"]
        found = torch.stack([batch["types"], correct.long()], 1).tolist()  # read at once
        return [
            {"qid": qid, "type": kind, "correct": bool(right)}
            for qid, (kind, right) in zip(batch["qids"], found, strict=True)
        ]

    def summarize(self, records: list[dict[str, Any]], data: Any) -> tuple[dict[str, dict[str, Any]], str]:
        """Counts and accuracy by type of question over the records of all ranks, as data and as a table."""
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
    """What `tally` returns, as a table."""
    lines = [f"{'type':18}{'questions':>12}{'correct':>12}{'accuracy':>14}"]
    for kind, (name, own) in enumerate(counts.items()):
        title = name if name == "all" else f"{kind}  {name}"
        accuracy = "no questions" if own["accuracy"] is None else f"{own['accuracy']:.2%}"
        lines.append(f"{title:18}{own['questions']:>12,}{own['correct']:>12,}{accuracy:>14}")
    return "\n".join(lines)
