"""What is rounded under mixed precision, how often, and that nothing but the last bits depends on it."""

from collections import Counter

import pytest
import torch
from pytorch_lightning.plugins import MixedPrecision
from timm.layers import Attention
from torch.utils._python_dispatch import TorchDispatchMode

import modules  # noqa: F401
from benchmarks.workload import SHAPES, SMALL, make_batch, make_task
from modules.models.image_encoder import FrameAttention, ImageEncoder
from modules.training.precision import precision_plugin

SHAPE = SHAPES["anetqa"]
OURS, LIGHTNINGS = precision_plugin("bf16", "cpu"), MixedPrecision("bf16-mixed", "cpu")


class Roundings(TorchDispatchMode):
    """Counts how often each tensor is brought to bfloat16."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._to_copy.default and (kwargs or {}).get("dtype") == torch.bfloat16:
            self.counts[args[0].data_ptr(), tuple(args[0].shape)] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture
def task():
    task = make_task(SMALL, SHAPE, drop_rate=0.0, questions_at_once=4)
    task.log = lambda *_, **__: None
    return task.train()


def gradients(task, batch, plugin=OURS) -> dict[str, torch.Tensor]:
    task.zero_grad()
    with plugin.forward_context():
        loss = task.training_step(batch, 0)
    loss.backward()
    return {name: parameter.grad.clone() for name, parameter in task.named_parameters() if parameter.grad is not None}


def roundings_of_weights(task, act) -> set[int]:
    with Roundings() as roundings:
        act()
    trained = [parameter for parameter in task.parameters() if parameter.requires_grad and parameter.ndim == 2]
    return {roundings.counts[parameter.data_ptr(), tuple(parameter.shape)] for parameter in trained}


def test_each_weight_is_rounded_once(task):
    batch = make_batch(task.model, SHAPE, [1, 1])
    assert roundings_of_weights(task, lambda: gradients(task, batch)) <= {0, 1}
    assert max(roundings_of_weights(task, lambda: gradients(task, batch, LIGHTNINGS))) > 1
    batch = make_batch(task.model, SHAPE, [10, 10])
    task.eval().on_predict_start()
    with torch.no_grad(), OURS.forward_context():
        assert roundings_of_weights(task, lambda: task.score(batch)) <= {0, 1}


def test_gradients(task):
    """They are Lightning's, those of activations computed again, and of the weights that the last step left."""
    batch = make_batch(task.model, SHAPE, [1, 1])
    ours, theirs = gradients(task, batch), gradients(task, batch, LIGHTNINGS)
    trained = {name for name, parameter in task.named_parameters() if parameter.requires_grad}
    assert trained == ours.keys() == theirs.keys()
    difference = sum((ours[name] - theirs[name]).square().sum() for name in ours)
    assert difference / sum(own.square().sum() for own in theirs.values()) < 1e-4
    task.model.enable_grad_checkpointing()
    again = gradients(task, batch)
    torch.testing.assert_close(again, ours, rtol=0.05, atol=1e-3)
    with torch.no_grad():
        task.model.video_head[2].weight.mul_(2)
    name = "model.video_head.0.weight"
    assert not torch.allclose(gradients(task, batch)[name], again[name], rtol=0.05, atol=1e-3)


@torch.no_grad()
def test_frames_attention_is_timms(monkeypatch):
    encoder = ImageEncoder(image_size=32, patch_size=16, width=32, depth=2, num_heads=4).eval()
    frames, states = torch.randn(3, 3, 32, 32), []
    for forward in (FrameAttention.forward, Attention.forward):
        monkeypatch.setattr(FrameAttention, "forward", forward)
        with OURS.forward_context():
            states.append(encoder(frames).float())
    torch.testing.assert_close(*states, rtol=0.02, atol=0.02)
    assert not torch.equal(*states)
