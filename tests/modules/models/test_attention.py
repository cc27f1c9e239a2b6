"""Attention gives what torch's own gives, by whatever way it goes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from modules.models.attention import attend


def tensors(rows, heads, queries, keys, dtype, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((rows, queries, heads, 16), (rows, keys, heads, 16), (rows, keys, heads, 16))
    return [torch.randn(shape, generator=generator).transpose(1, 2).to(dtype) for shape in shapes]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 7),
    st.one_of(st.integers(1, 9), st.integers(40, 50)),  # all in one product, and head by head
    st.one_of(st.integers(1, 9), st.integers(40, 50)),
    st.booleans(),
    st.integers(0, 99),
)
def test_bfloat16_without_gradients(rows, heads, queries, keys, masked, seed):
    given_tensors = tensors(rows, heads, queries, keys, torch.bfloat16, seed)
    lengths = torch.randint(1, keys + 1, (rows, 1, 1, 1), generator=torch.Generator().manual_seed(seed))
    mask = torch.arange(keys) < lengths if masked else None
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        if mask is None or queries * keys <= 32 * 32:  # longer ones with a mask are left to torch
            patch.setattr(F, "scaled_dot_product_attention", None)
        ours = attend(*given_tensors, mask)
    exact = F.scaled_dot_product_attention(*(tensor.double() for tensor in given_tensors), attn_mask=mask)
    assert ours.dtype == torch.bfloat16
    assert ours.shape == exact.shape
    torch.testing.assert_close(ours.double(), exact, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_and_long_masks_are_left_to_torch(dtype):
    query, key, value = tensors(2, 4, 40, 60, dtype)
    mask = torch.arange(60) < torch.tensor([[4], [60]])
    with torch.no_grad():
        expected = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None])
        assert torch.equal(attend(query, key, value, mask[:, None, None]), expected)
    query.requires_grad_()
    attend(query, key, value).sum().backward()
    assert query.grad is not None
