"""Scaled dot-product attention, of which torch's own is not the fastest everywhere."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_SCORES_AT_ONCE = 1 << 21  # they stay in the cores' caches: 4 MB in bfloat16, 6 heads of 577 × 577 tokens
_SHORT = 32 * 32  # scores a head, as of questions: all heads of all rows in one product


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, dropout: float = 0.0) -> Tensor:
    """`F.scaled_dot_product_attention`; on a CPU in bfloat16, where no gradient is needed, in two thirds of its time.

    There torch's kernel multiplies blocks that are too small for the processor's bfloat16 instructions, and takes
    longer than in float32. Products of whole heads do not (measured with 12 heads of 577 tokens, and with 10 tokens in
    256 rows).

    Args:
        query: ``[B, H, L, D/H]``.
        key, value: ``[B, H, T, D/H]``.
        mask: bool, broadcastable to ``[B, H, L, T]``; True = may be attended to. None = everything.
        dropout: of the weights.

    Returns:
        ``[B, H, L, D/H]``.
    """
    batch, heads, length, width = query.shape
    short = length * key.shape[-2] <= _SHORT
    plain = (
        query.device.type == "cpu"
        and query.dtype == torch.bfloat16
        and (mask is None or short)
        and not dropout
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
    )
    if not plain:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    if short:
        return _attend_at_once(query, key, value, mask)
    context = query.new_empty(batch, length, heads, width).transpose(1, 2)  # heads side by side, as they are read
    nothing, scale = query.new_empty(()), 1 / math.sqrt(width)
    heads_at_once = max(1, _SCORES_AT_ONCE // (length * key.shape[-2]))
    for row in range(batch):
        for first in range(0, heads, heads_at_once):
            part = row, slice(first, first + heads_at_once)
            scores = torch.baddbmm(nothing, query[part], key[part].mT, beta=0, alpha=scale)
            context[part] = torch.bmm(scores.softmax(-1), value[part])
    return context


def _attend_at_once(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """In float32, for scores in bfloat16 would double a logit's error."""
    batch, heads, _, width = query.shape
    with torch.autocast("cpu", enabled=False):
        query32, key32, value32 = (
            x.to(torch.float32, memory_format=torch.contiguous_format).flatten(0, 1) for x in (query, key, value)
        )
        scores = torch.bmm(query32, key32.mT).mul_(1 / math.sqrt(width)).unflatten(0, (batch, heads))
        if mask is not None:
            scores.add_(torch.where(mask, 0.0, -math.inf))  # masked_fill would take several times as long
        context = torch.bmm(scores.softmax(-1).flatten(0, 1), value32).unflatten(0, (batch, heads))
        # heads side by side, as they are read
        return context.transpose(1, 2).to(query.dtype, memory_format=torch.contiguous_format).transpose(1, 2)


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
    """The weights that `attend` gives the values: ``[B, H, L, T]``; arguments as there."""
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    return (scores if mask is None else scores.masked_fill(~mask, -math.inf)).softmax(-1)
