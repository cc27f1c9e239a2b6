"""The objective of pre-training: its parts against plain loops, and what it carries along."""

import pytest
import torch
from torch.nn import functional as F

import modules  # noqa: F401
from modules.models.dest import DeST
from modules.models.referring import ReferringDeST
from modules.objectives.alignment import alignment_loss
from modules.objectives.settings import OptimizerSettings
from modules.objectives.temporal_referring import TemporalReferring
from tests.modules.models.test_dest import SMALL, lively

from .referring_batch import NUM_CLIPS, make_referring_batch


@pytest.fixture
def task() -> TemporalReferring:
    torch.manual_seed(0)
    task = TemporalReferring(ReferringDeST(SMALL, 0.0), OptimizerSettings(), freeze=["text_encoder.embeddings"])
    lively(task.model)
    task.logged = {}
    task.log = lambda name, value, **_: task.logged.__setitem__(name, value)
    return task


@torch.no_grad()
def test_referring_equals_one_question_at_a_time_without_padding(task):
    batch = make_referring_batch(6)
    found = task.model.refer(batch)
    model, logits, clips, captions = task.model, [], [], []

    def cut(kind: str, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        length = int(batch[f"{kind}_mask"][row].sum())
        return batch[f"{kind}_ids"][row, None, :length], batch[f"{kind}_mask"][row, None, :length]

    first, questions = 0, batch["questions"]
    for question in range(6):
        length = int(batch["clip_mask"][question].sum())
        states, mask = model.encode_clips(
            batch["clips"][question, None, :length], batch["clip_mask"][question, None, :length]
        )
        length = questions.lengths[question]
        ids, ids_mask = questions.ids[question, None, :length], questions.mask[question, None, :length]
        memory = list(model.temporal_encoder.encoder.project_memory(states[:, None]))
        hidden = model.encode_questions(ids, ids_mask)
        fused, _ = model.temporal_encoder.encoder.fuse(hidden, ids_mask.bool(), memory, 1, [1], mask)
        feature = model.video_head(fused[:, 0])
        rows = range(question * NUM_CLIPS, (question + 1) * NUM_CLIPS)
        logits.append(torch.cat([model.ans_encoder(*cut("choice", row)) for row in rows]) @ feature[0])
        start = 1
        for number in range(first, first + (1 if batch["types"][question] == 0 else NUM_CLIPS)):
            end = start + int(batch["clip_lengths"][number])
            clips.append(model.vision_proj(states[0, start:end].mean(0)))
            captions.append(model.text_proj(model.encode_questions(*cut("caption", number))[0, 0]))
            start, first = end, first + 1
    torch.testing.assert_close(found.logits, torch.stack(logits), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.clips, F.normalize(torch.stack(clips), dim=-1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.captions, F.normalize(torch.stack(captions), dim=-1), rtol=1e-4, atol=1e-5)


def test_loss_is_choice_and_alignment(task):
    batch = make_referring_batch(4)
    loss = task.training_step(batch, 0)
    choice = F.cross_entropy(task.model.refer(batch).logits, batch["labels"])
    torch.testing.assert_close(task.logged["train/trm_loss"], choice)
    torch.testing.assert_close(loss, task.logged["train/trm_loss"] + task.logged["train/align_loss"])


def test_every_trainable_parameter_has_a_gradient_and_the_rest_is_carried_along(task):
    task.training_step(make_referring_batch(4), 0).backward()
    for name, parameter in task.model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    frozen = {name for name, parameter in task.model.named_parameters() if not parameter.requires_grad}
    assert all(name.startswith("text_encoder.embeddings.") for name in frozen if "embeddings" in name)
    assert any(name.startswith("visual_encoder.") for name in frozen)
    layers = {name.split(".")[3] for name in frozen if name.startswith("text_encoder.encoder.")}
    assert layers == {"2", "3"}  # the fusion layers
    assert frozen <= task.model.state_dict().keys()


def test_tau_stays_in_its_range(task):
    for value, expected in ((-1.0, 0.001), (9.0, 0.5), (0.07, 0.07)):
        with torch.no_grad():
            task.model.tau.fill_(value)
        task.training_step(make_referring_batch(2), 0)
        assert task.model.tau.item() == pytest.approx(expected)


@torch.no_grad()
def test_predictions_and_their_count(task):
    batch = make_referring_batch(5)
    batch["labels"] = task.model.refer(batch).logits.argmax(1)
    batch["labels"][3] = (batch["labels"][3] + 1) % NUM_CLIPS
    records = task.predict_step(batch, 0)
    assert records[3] == {"qid": "toy/3/0", "type": 3, "correct": False}
    counts, table = task.summarize(records[:4])
    assert counts["after"] == {"questions": 1, "correct": 0, "accuracy": 0.0}
    assert counts["before"] == {"questions": 0, "correct": 0, "accuracy": None}
    assert counts["all"] == {"questions": 4, "correct": 3, "accuracy": 0.75}
    lasts = [line.split()[-1] for line in table.splitlines()]
    assert lasts == ["accuracy", *["100.00%"] * 3, "0.00%", "questions", "75.00%"]


@torch.no_grad()
def test_a_question_to_look_at_has_its_own_texts(task):
    batch = make_referring_batch(3)
    logits = torch.tensor([[0.0, 5.0, 1.0]] * 3)
    example = task.example(batch, {"logits": logits}, 2)
    assert example.question == "question 2"
    assert example.answer == f"choice {batch['labels'][2]}"
    assert [text for text, _ in example.guesses] == ["choice 1", "choice 2", "choice 0"]
    shares = logits[2].softmax(0)[[1, 2, 0]].tolist()
    assert [share for _, share in example.guesses] == pytest.approx(shares)


@torch.no_grad()
def test_validation_averages_over_all_questions_and_all_clips(task):
    """Clips are aligned within a batch."""
    batches = [make_referring_batch(5), make_referring_batch(2, seed=1)]
    for number, batch in enumerate(batches):
        task.validation_step(batch, number)
    task.on_validation_epoch_end()
    found = [task.model.refer(batch) for batch in batches]
    labels, types = (torch.cat([batch[name] for batch in batches]) for name in ("labels", "types"))
    logits = torch.cat([own.logits for own in found])
    right = logits.argmax(1) == labels
    assert task.logged["val/accuracy"] == pytest.approx(float(right.float().mean()))
    for kind in range(5):
        assert task.logged[f"val/accuracy_type{kind}"] == pytest.approx(float(right[types == kind].float().mean()))
    torch.testing.assert_close(task.logged["val/trm_loss"], F.cross_entropy(logits, labels))
    alignments = [len(own.clips) * alignment_loss(own.clips, own.captions, task.model.tau) for own in found]
    torch.testing.assert_close(task.logged["val/align_loss"], sum(alignments) / sum(len(own.clips) for own in found))


def test_names_are_those_of_the_network_and_the_two_projections():
    extra = ReferringDeST(SMALL).state_dict().keys() ^ DeST(SMALL, spatial=False).state_dict().keys()
    assert extra == {"tau", "vision_proj.weight", "vision_proj.bias", "text_proj.weight", "text_proj.bias"}
