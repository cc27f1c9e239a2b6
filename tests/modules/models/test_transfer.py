"""Orders and rows that a network is given: what they bring together, and back."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import modules  # noqa: F401
from modules.models.answer_encoder import group_by_length
from modules.models.transfer import inverse, send, send_numbers
from modules.models.transformer import MemoryRows

CPU = torch.device("cpu")


@given(st.permutations(range(9)))
def test_an_order_and_back(order):
    x = torch.arange(9) + 10
    assert torch.equal(x[send_numbers(order, CPU)][send_numbers(inverse(order), CPU)], x)


def test_a_tensor_that_is_there_stays():
    x = torch.ones(3)
    assert send(x, CPU) is x


@given(counts=st.lists(st.integers(0, 3), min_size=1, max_size=4).filter(any), num_memories=st.integers(1, 3))
def test_rows_of_memories(counts, num_memories):
    questions = torch.arange(sum(counts) * 2).view(-1, 2)
    rows = MemoryRows(counts, num_memories, CPU)
    expected = [own.repeat(num_memories, 1) for own in questions.split(counts)]
    assert torch.equal(rows.of_questions(questions), torch.cat(expected))
    assert torch.equal(rows.by_question(rows.of_questions(questions)), questions[:, None].expand(-1, num_memories, -1))


@pytest.mark.parametrize(
    ("lengths", "rows_at_once", "spared", "groups"),
    [
        ([3, 3, 3], 9, 0, [(0, 3)]),
        ([3, 3, 4, 8], 9, 0, [(0, 2), (2, 3), (3, 4)]),
        ([4, 5, 5], 9, 0, [(0, 3)]),  # up to a quarter
        ([3, 3, 3, 3, 3], 2, 0, [(0, 2), (2, 4), (4, 5)]),
        ([3, 3, 4, 8], 9, 3, [(0, 3), (3, 4)]),  # two tokens of padding are spared, fourteen are not
        ([3, 3, 4, 8], 9, 100, [(0, 4)]),
    ],
)
def test_texts_of_about_a_length_go_together(lengths, rows_at_once, spared, groups):
    assert group_by_length(lengths, rows_at_once, spared) == groups
