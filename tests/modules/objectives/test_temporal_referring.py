"""The objective of pre-training: its parts against plain loops, and what it carries along."""

import pytest
import torch
from torch.nn import functional as F

import modules  # noqa: F401
from modules.models.referring import ReferringDeST
from modules.objectives.alignment import alignment_loss
from modules.objectives.settings import OptimizerSettings
from modules.objectives.temporal_referring import TemporalReferring
from tests.modules.models.test_dest import SMALL, lively

from .referring_batch import make_referring_batch, share_of


@pytest.fixture
def task() -> TemporalReferring:
    task = TemporalReferring(ReferringDeST(SMALL, 0.0), OptimizerSettings(), freeze=["text_encoder.embeddings"])
    lively(task.model)
    task.logged = {}
    task.log = lambda name, value, **_: task.logged.__setitem__(name, value)
    return task


@torch.no_grad()
def test_questions_together_have_what_each_has_alone_without_padding(task):
    batch = make_referring_batch(6)
    together = task.model.refer(batch)
    alone = [task.model.refer(share_of(batch, question, question + 1)) for question in range(6)]
    for name, found in vars(together).items():
        expected = torch.cat([getattr(own, name) for own in alone])
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4, msg=name)


def test_every_trainable_parameter_has_a_gradient_and_the_rest_is_carried_along(task):
    task.training_step(make_referring_batch(4), 0).backward()
    fusion = [f"text_encoder.encoder.layer.{number}." for number in (2, 3)]
    frozen = ("visual_encoder.", "text_encoder.embeddings.", *fusion)
    for name, parameter in task.model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad != name.startswith(frozen), name


@pytest.mark.parametrize(("value", "expected"), [(-1.0, 0.001), (9.0, 0.5), (0.07, 0.07)])
def test_tau_stays_in_its_range(task, value, expected):
    torch.nn.init.constant_(task.model.tau, value)
    task.training_step(make_referring_batch(2), 0)
    assert task.model.tau.item() == pytest.approx(expected)


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
    right = (logits.argmax(1) == labels).float()
    weights = torch.tensor([len(own.clips) for own in found])
    alignments = torch.stack([alignment_loss(own.clips, own.captions, task.model.tau) for own in found])
    expected = {f"val/accuracy_type{kind}": right[types == kind].mean() for kind in range(5)}
    expected |= {"val/accuracy": right.mean(), "val/trm_loss": F.cross_entropy(logits, labels)}
    expected["val/align_loss"] = (weights * alignments).sum() / weights.sum()
    expected["val/loss"] = expected["val/trm_loss"] + expected["val/align_loss"]
    assert {name: float(value) for name, value in task.logged.items()} == pytest.approx(
        {name: value.item() for name, value in expected.items()}
    )
