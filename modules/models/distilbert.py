"""DistilBERT (Sanh et al., 2019): half as many layers as BERT, without token types and pooler.

Written out, as transformers alone takes longer to import than PyTorch. Parameters bear its names, as the published
checkpoints do.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

_EPS = 1e-12  # of LayerNorm


class Embeddings(nn.Module):
    """Word and position embeddings, summed and normalised."""

    def __init__(self, vocab_size: int, width: int, max_positions: int, dropout: float):
        super().__init__()
        self.word_embeddings = nn.Embedding(vocab_size, width)
        self.position_embeddings = nn.Embedding(max_positions, width)
        self.LayerNorm = nn.LayerNorm(width, eps=_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Tensor) -> Tensor:
        """``[B, L]`` -> ``[B, L, D]``."""
        return self.dropout(self.LayerNorm(self.word_embeddings(ids) + self.position_embeddings.weight[: ids.shape[1]]))


class SelfAttention(nn.Module):
    """Multi-head attention, and its output projection."""

    def __init__(self, width: int, num_heads: int, dropout: float):
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.q_lin = nn.Linear(width, width)
        self.k_lin = nn.Linear(width, width)
        self.v_lin = nn.Linear(width, width)
        self.out_lin = nn.Linear(width, width)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """``[B, L, D]``, bool ``[B, 1, 1, L]`` (True = token; None: all) -> ``[B, L, D]``."""
        query, key, value = (
            linear(hidden).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for linear in (self.q_lin, self.k_lin, self.v_lin)
        )
        dropout = self.dropout if self.training else 0.0
        context = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
        return self.out_lin(context.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Linear, GELU, linear, dropout."""

    def __init__(self, width: int, inner_width: int, dropout: float):
        super().__init__()
        self.lin1 = nn.Linear(width, inner_width)
        self.lin2 = nn.Linear(inner_width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.dropout(self.lin2(F.gelu(self.lin1(hidden))))


class Layer(nn.Module):
    """Attention and feed-forward block, each added to what it reads, and normalised."""

    def __init__(self, width: int, num_heads: int, inner_width: int, dropout: float):
        super().__init__()
        self.attention = SelfAttention(width, num_heads, dropout)
        self.sa_layer_norm = nn.LayerNorm(width, eps=_EPS)
        self.ffn = FeedForward(width, inner_width, dropout)
        self.output_layer_norm = nn.LayerNorm(width, eps=_EPS)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        hidden = self.sa_layer_norm(self.attention(hidden, mask) + hidden)
        return self.output_layer_norm(self.ffn(hidden) + hidden)


class DistilBert(nn.Module):
    """Token ids to the states of the last layer."""

    def __init__(
        self,
        vocab_size: int,
        width: int,
        max_positions: int,
        num_layers: int,
        num_heads: int,
        inner_width: int,
        dropout: float,
    ):
        super().__init__()
        self.grad_checkpointing = False
        self.embeddings = Embeddings(vocab_size, width, max_positions, dropout)
        layers = nn.ModuleList(Layer(width, num_heads, inner_width, dropout) for _ in range(num_layers))
        self.transformer = nn.ModuleDict({"layer": layers})

    def forward(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """``[B, L]``, bool ``[B, L]`` (True = token; None: all) -> ``[B, L, D]``, meaningless at padding."""
        mask = None if mask is None else mask[:, None, None]
        hidden = self.embeddings(ids)
        for layer in self.transformer["layer"].children():
            if self.grad_checkpointing and torch.is_grad_enabled():
                hidden = checkpoint(layer, hidden, mask, use_reentrant=False)
            else:
                hidden = layer(hidden, mask)
        return hidden
