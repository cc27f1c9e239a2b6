"""No step waits for its device: nothing that the host decides depends on a number that the device has computed.

Shown without a device: fake tensors have no numbers, so that reading one is an error (`.item()`, `.tolist()`, `if`).
"""

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from benchmarks.workload import SMALL, Shape, make_batch, make_task

SHAPE = Shape(num_frames=2, num_clips=7, questions_in_video=3, num_answers=9, question_tokens=(4, 9), naive_batch=4)


@pytest.fixture
def mode():
    return FakeTensorMode()


def without_numbers(value, mode):
    """A tensor, what of a mapping is a tensor, or a module's parameters and buffers, made fake."""
    if isinstance(value, torch.nn.Module):
        for module in value.modules():
            for own in (module._parameters, module._buffers):
                own.update({name: without_numbers(tensor, mode) for name, tensor in own.items()})
        return value
    if isinstance(value, dict):
        return {name: without_numbers(item, mode) for name, item in value.items()}
    return mode.from_tensor(value) if isinstance(value, torch.Tensor) else value


@pytest.fixture
def task(mode):
    task = make_task(SMALL, SHAPE, drop_rate=0.1, questions_at_once=64)
    task.log = lambda *args, **kwargs: None
    return without_numbers(task, mode)


@pytest.fixture
def batch(task, mode):
    return without_numbers(make_batch(task.model, SHAPE, [3, 2, 3]), mode)


def test_what_has_no_numbers_cannot_be_read(mode):
    with mode, pytest.raises(DataDependentOutputException):
        torch.ones(2).sum().item()


def test_training_step(task, batch, mode):
    with mode:
        task.training_step(batch, 0).backward()
    trained = [parameter for parameter in task.model.parameters() if parameter.requires_grad]
    assert all(parameter.grad is not None for parameter in trained)


@pytest.mark.parametrize("questions_at_once", [64, 3])
def test_inference(task, batch, mode, questions_at_once):
    task.eval()
    task.questions_at_once = questions_at_once
    with mode, torch.no_grad():
        task.on_predict_start()
        assert task.score(batch).shape == (8, SHAPE.num_answers)
