"""The 12-layer text/fusion stack of ALBEF, which DeST uses twice (paper, section 3).

Parameters bear the names of the published checkpoints.

Letters: B rows · Q questions · V videos · M memories per video (its frames; 1 for a clip sequence) ·
T tokens of a memory · L question tokens · H heads · D width.

Lower layers are plain self-attention over a sequence. Upper layers ("fusion") add cross-attention to a memory: to the
image tokens of a frame, or to the states of a video's clips. All are post-norm, and nothing is causal.

A fusion layer never copies a memory for the questions that share it. The states of the questions about one video are
kept memory-major, ``[M, n, L, D]``: read as ``[M·n, L, D]`` they attend to themselves, read as ``[M, n·L, D]`` they
attend to the M memories, and both readings are the same storage. With the questions first, ``[n, M, L, D]``, one of the
two would copy all states in every layer.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from .precision import rounded_once
from .transfer import send_numbers

KeyValue = tuple[Tensor, Tensor]


class AttentionProjections(nn.Module):
    """Query, key and value of one attention, under BERT's names."""

    def __init__(self, width: int):
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)


class ResidualOutput(nn.Module):
    """Projection back to the residual stream, dropout, sum and LayerNorm (post-norm)."""

    def __init__(self, in_width: int, width: int, dropout: float, eps: float):
        super().__init__()
        self.dense = nn.Linear(in_width, width)
        self.LayerNorm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, update: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(self.dropout(self.dense(update)) + residual)


class Attention(nn.Module):
    """Multi-head attention with its residual output."""

    def __init__(self, width: int, num_heads: int, dropout: float, eps: float):
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.self = AttentionProjections(width)
        self.output = ResidualOutput(width, width, dropout, eps)

    def split_heads(self, x: Tensor) -> Tensor:
        """``[..., T, D]`` -> ``[..., H, T, D/H]``."""
        return x.unflatten(-1, (self.num_heads, -1)).transpose(-3, -2)

    def project_memory(self, memory: Tensor) -> KeyValue:
        """Keys and values of what is attended to: ``[..., T, D]`` -> two of ``[..., H, T, D/H]``."""
        memory = rounded_once(memory)
        return self.split_heads(self.self.key(memory)), self.split_heads(self.self.value(memory))

    def attend(
        self, query: Tensor, key_value: KeyValue, mask: Tensor | None, return_attention: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """The attention alone, without output projection.

        Args:
            query: ``[B, H, L, D/H]``.
            key_value: two of ``[B, H, T, D/H]``.
            mask: bool, broadcastable to ``[B, H, L, T]``; True = may be attended to. None = everything.
            return_attention: with the weights of the attention, of which the result is then a function.

        Returns:
            ``[B, L, D]``, and the weights ``[B, H, L, T]`` or None.
        """
        weights = None
        if return_attention:
            scores = query @ key_value[0].mT / math.sqrt(query.shape[-1])
            scores = scores if mask is None else scores.masked_fill(~mask, -math.inf)
            weights = scores.softmax(-1).detach().requires_grad_()
            context = weights @ key_value[1]
        else:
            dropout = self.dropout if self.training else 0.0
            context = F.scaled_dot_product_attention(query, *key_value, attn_mask=mask, dropout_p=dropout)
        return context.transpose(1, 2).flatten(2), weights

    def forward(self, hidden: Tensor, mask: Tensor | None, num_queries: int | None = None) -> Tensor:
        """Self-attention: ``[B, L, D]``, mask as in `attend` -> ``[B, num_queries or L, D]`` (the first tokens ask)."""
        asking = hidden if num_queries is None else hidden[:, :num_queries]
        rounded = rounded_once(hidden)
        query = self.split_heads(self.self.query(rounded[:, : asking.shape[1]].contiguous()))
        return self.output(self.attend(query, self.project_memory(rounded), mask)[0], asking)


class Intermediate(nn.Module):
    """The widening half of the feed-forward block."""

    def __init__(self, width: int, inner_width: int):
        super().__init__()
        self.dense = nn.Linear(width, inner_width)

    def forward(self, hidden: Tensor) -> Tensor:
        return F.gelu(self.dense(hidden))


class Layer(nn.Module):
    """One layer; with cross-attention if it is a fusion layer."""

    def __init__(self, width: int, num_heads: int, inner_width: int, dropout: float, eps: float, fusion: bool):
        super().__init__()
        self.attention = Attention(width, num_heads, dropout, eps)
        if fusion:
            self.crossattention = Attention(width, num_heads, dropout, eps)
        self.intermediate = Intermediate(width, inner_width)
        self.output = ResidualOutput(inner_width, width, dropout, eps)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """Shapes without memory: ``[B, L, D]`` -> ``[B, L, D]``."""
        return self.feed_forward(self.attention(hidden, mask))

    def feed_forward(self, hidden: Tensor) -> Tensor:
        return self.output(self.intermediate(hidden), hidden)

    def attend_memory(
        self,
        hidden: Tensor,
        keys: Tensor,
        values: Tensor,
        memory_mask: Tensor | None,
        counts: Sequence[int],
        return_attention: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Cross-attention and feed-forward.

        Args:
            hidden: ``[M·Q, L, D]``, video after video, memory-major within a video.
            keys, values: ``[V, M, H, T, D/H]``.
            memory_mask: bool ``[V, T]`` or None.
            counts: questions about each video.
            return_attention: with the weights; n questions about each video, then.

        Returns:
            ``[M·Q, L, D]``, and the weights of the cross-attention ``[V·M, H, n·L, T]`` or None.
        """
        attention = self.crossattention
        query = attention.self.query(hidden)
        num_memories = keys.shape[1]
        # Neighbouring videos with equally many questions attend in one call.
        groups: Iterable[tuple[Tensor, Tensor, Tensor | None, Tensor]] = [(keys, values, memory_mask, query)]
        runs = [(count, len(list(run))) for count, run in itertools.groupby(counts)]
        if len(runs) > 1:
            videos = [number for _, number in runs]
            masks = [None] * len(runs) if memory_mask is None else memory_mask.split(videos)
            queries = query.split([num_memories * count * number for count, number in runs])
            groups = zip(keys.split(videos), values.split(videos), masks, queries, strict=True)
        contexts, weights = [], None
        for own_keys, own_values, own_mask, own in groups:
            if len(own) == 0:
                continue
            own = own.reshape(len(own_keys) * num_memories, -1, own.shape[-1])  # [V·M, n·L, D]
            if own_mask is not None:
                own_mask = own_mask[:, None].expand(-1, num_memories, -1).flatten(0, 1)[:, None, None]  # [V·M, 1, 1, T]
            key_value = own_keys.flatten(0, 1), own_values.flatten(0, 1)
            context, weights = attention.attend(attention.split_heads(own), key_value, own_mask, return_attention)
            contexts.append(context.view(-1, *hidden.shape[1:]))
        context = contexts[0] if len(contexts) == 1 else torch.cat(contexts)
        return self.feed_forward(attention.output(context, hidden)), weights


class MemoryRows:
    """Q questions as M·Q rows: the questions of a video, once for each of its memories, before those of the next video.

    Args:
        counts: number of questions about each video.
    """

    def __init__(self, counts: Sequence[int], num_memories: int, device: torch.device):
        self.sizes = len(counts), num_memories, counts[0]
        self.question: Tensor | None = None  # of each row, [M·Q]; None: equally many questions about each video
        if num_memories > 1 and len(set(counts)) > 1:
            questions, rows, first = [], [], 0
            for count in counts:
                questions += list(range(first, first + count)) * num_memories
                ends = range(num_memories * first, num_memories * (first + count), count or 1)
                rows += [[start + own for start in ends] for own in range(count)]
                first += count
            self.question, self.row = send_numbers(questions, device), send_numbers(rows, device)  # [Q, M]

    def of_questions(self, x: Tensor) -> Tensor:
        """``[Q, ...]`` -> ``[M·Q, ...]``."""
        if self.sizes[1] == 1:
            return x
        if self.question is not None:
            return x[self.question]
        num_videos, num_memories, _ = self.sizes
        return repeat(x, "(v q) ... -> (v m q) ...", v=num_videos, m=num_memories)

    def by_question(self, x: Tensor) -> Tensor:
        """``[M·Q, ...]`` -> ``[Q, M, ...]``."""
        if self.sizes[1] == 1:
            return x[:, None]
        if self.question is not None:
            return x[self.row]
        num_videos, num_memories, _ = self.sizes
        return rearrange(x, "(v m q) ... -> (v q) m ...", v=num_videos, m=num_memories)


class TransformerStack(nn.Module):
    """Layers ``0 .. num_text_layers-1`` are plain, the rest are fusion layers."""

    def __init__(
        self,
        width: int,
        num_layers: int,
        num_text_layers: int,
        num_heads: int,
        inner_width: int,
        dropout: float = 0.1,
        eps: float = 1e-12,
    ):
        super().__init__()
        self.num_text_layers = num_text_layers
        self.grad_checkpointing = False
        self.layer = nn.ModuleList(
            Layer(width, num_heads, inner_width, dropout, eps, fusion=index >= num_text_layers)
            for index in range(num_layers)
        )

    @property
    def fusion_layers(self) -> list[Layer]:
        return cast("list[Layer]", list(self.layer)[self.num_text_layers :])

    def _run(self, function, *args):
        if self.grad_checkpointing and torch.is_grad_enabled():
            return checkpoint(function, *args, use_reentrant=False)
        return function(*args)

    def encode(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """The plain layers: ``[B, L, D]``, bool ``[B, L]`` (True = token) -> ``[B, L, D]``, meaningless at padding."""
        mask = mask[:, None, None]  # [B, 1, 1, L]
        for layer in self.layer[: self.num_text_layers]:
            hidden = self._run(layer, hidden, mask)
        return hidden

    def project_memory(self, memory: Tensor) -> Iterator[KeyValue]:
        """Keys and values of each fusion layer, one layer after the other: ``[V, M, T, D]`` -> ``[V, M, H, T, D/H]``.

        Lazy, so that a single pass holds those of one layer at a time. Several passes over one memory: make it a list.
        """
        memory = rounded_once(memory)
        for layer in self.fusion_layers:
            key, value = layer.crossattention.project_memory(memory)
            if memory.device.type == "cpu":  # where it is read head by head, again and again
                key, value = key.contiguous(), value.contiguous()
            yield key, value

    def fuse(
        self,
        hidden: Tensor,
        mask: Tensor,
        memory: Iterable[KeyValue],
        num_memories: int,
        counts: Sequence[int],
        memory_mask: Tensor | None = None,
        return_attention: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The fusion layers: every question attends to each of the M memories of its video.

        Args:
            hidden: ``[Q, L, D]``, states of the questions after the plain layers; those about one video are adjacent.
            mask: bool ``[Q, L]``, True = a token.
            memory: from `project_memory`.
            num_memories: M.
            counts: number of questions about each of the V videos; sums to Q.
            memory_mask: bool ``[V, T]``, True = may be attended to; None = everything.
            return_attention: with the attention of the last layer, from which alone the states are then differentiated.
                Every video must have the same number n of questions.

        Returns:
            ``[Q, M, D]``: the first token (CLS) of each question for each memory; and the attention that it pays to
            the memory's tokens, ``[V·M, H, n, T]``, or None.
        """
        rows = MemoryRows(counts, num_memories, hidden.device)
        row_mask = rows.of_questions(mask)[:, None, None]  # [M·Q, 1, 1, L]
        mask = mask[:, None, None]
        layers = self.fusion_layers
        for index, (layer, (keys, values)) in enumerate(zip(layers, memory, strict=True)):
            # Only CLS of the last layer is read, so only CLS is computed there.
            num_queries = 1 if index == len(layers) - 1 else None
            if index > 0:
                hidden = self._run(layer.attention, hidden, row_mask, num_queries)
            elif self.training:
                hidden = self._run(layer.attention, rows.of_questions(hidden), row_mask, num_queries)
            else:  # A question has not met its memories yet: but for dropout, its rows are the same.
                hidden = rows.of_questions(layer.attention(hidden, mask, num_queries))
            wanted = return_attention and layer is layers[-1]
            hidden, attention = self._run(layer.attend_memory, hidden, keys, values, memory_mask, counts, wanted)
        return rows.by_question(hidden[:, 0]), attention
