"""Questions and texts that go together: the arithmetic, against figures worked out by hand."""

import pytest

import modules  # noqa: F401
from modules.models.answer_encoder import group_by_length
from modules.models.chunks import questions_that_fit
from modules.models.settings import ModelSizes

GIB = 2**30


@pytest.mark.parametrize(
    ("per_gpu_batchsize", "num_frames", "length", "free", "questions"),
    [
        (32, 8, 20, None, 32),  # a CPU
        (32, 8, 20, 20 * GIB, 256),  # as many times the setting as are allowed
        (32, 8, 20, 4 * GIB, 136),  # 1 GiB of 7.9 MB
        (32, 8, 20, GIB // 2, 32),  # never fewer than the setting
    ],
)
def test_questions_that_fit(per_gpu_batchsize, num_frames, length, free, questions):
    assert questions_that_fit(per_gpu_batchsize, ModelSizes(), num_frames, length, free) == questions


@pytest.mark.parametrize(
    ("lengths", "rows_at_once", "spared", "groups"),
    [
        ([3, 3, 4, 8], 9, 0, [(0, 2), (2, 3), (3, 4)]),
        ([4, 5, 5], 9, 0, [(0, 3)]),  # up to a quarter
        ([3, 3, 3, 3, 3], 2, 0, [(0, 2), (2, 4), (4, 5)]),
        ([3, 3, 4, 8], 9, 3, [(0, 3), (3, 4)]),  # two tokens of padding are spared, fourteen are not
    ],
)
def test_texts_of_about_a_length_go_together(lengths, rows_at_once, spared, groups):
    assert group_by_length(lengths, rows_at_once, spared) == groups
