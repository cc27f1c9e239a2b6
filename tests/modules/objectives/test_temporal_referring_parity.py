"""The training step has the published losses, at the published size and with weights that anyone can rebuild."""

import pytest
import torch

from datamodules.batch import Questions
from modules.checkpoints.loading import load_weights
from modules.models.settings import ModelSizes
from modules.objectives.settings import OptimizerSettings
from modules.objectives.temporal_referring import ReferringDeST, TemporalReferring
from tests.modules.models.parity import arrays, rebuilt_file, rebuilt_weight, relative_error


@pytest.fixture(scope="module")
def task():
    task = TemporalReferring(ReferringDeST(ModelSizes(head_width=384)), OptimizerSettings())
    load_weights(task.model, rebuilt_file("trm"), verbose=False)
    rebuilt_weight.cache_clear()
    task.logged = {}
    task.log = lambda name, value, **_: task.logged.__setitem__(name, value)
    return task.eval()


@pytest.mark.slow
def test_losses_of_a_training_step(task):
    given, expected = arrays("trm_inputs"), arrays("trm_expected")
    lengths = given["clip_lengths"]
    clip_mask = torch.arange(given["video"].shape[1]) < lengths.sum(1, keepdim=True)
    clip_index = torch.full(clip_mask.shape, lengths.numel())
    clip_index[clip_mask] = torch.repeat_interleave(lengths.flatten())
    batch = {
        **{name: given[name] for name in given if name.endswith(("_ids", "_mask", "labels"))},
        "clips": given["video"],
        "clip_mask": clip_mask,
        "clip_index": clip_index,
        "clip_lengths": lengths.flatten(),
        "questions": Questions(given["question_ids"], given["question_mask"], [], [1] * len(lengths)),
    }
    loss = task.training_step(batch, 0)
    assert relative_error(task.logged["train/trm_loss"], expected["trm_loss"]) < 1e-5
    assert relative_error(task.logged["train/align_loss"], expected["align_loss"]) < 1e-5
    assert relative_error(loss, expected["trm_loss"] + expected["align_loss"]) < 1e-5
