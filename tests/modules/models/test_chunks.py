"""How many questions at once: the arithmetic, against figures worked out by hand."""

import pytest
import torch

import modules  # noqa: F401
from modules.models.chunks import free_memory, questions_that_fit
from modules.models.dest import ModelSizes

GIB = 2**30


@pytest.mark.parametrize(
    ("per_gpu_batchsize", "num_frames", "length", "free", "questions"),
    [
        (32, 8, 20, None, 32),  # a CPU
        (32, 8, 20, 20 * GIB, 256),  # as many times the setting as are allowed
        (32, 8, 20, 4 * GIB, 136),  # 1 GiB of 7.9 MB
        (32, 8, 20, GIB // 2, 32),  # never fewer than the setting
        (4, 8, 20, 20 * GIB, 32),  # who lowers the setting lowers this
        (16, 16, 16, 4 * GIB, 85),
    ],
)
def test_questions_that_fit(per_gpu_batchsize, num_frames, length, free, questions):
    assert questions_that_fit(per_gpu_batchsize, ModelSizes(), num_frames, length, free) == questions


def test_memory_of_a_cpu_decides_nothing():
    assert free_memory(torch.device("cpu")) is None
