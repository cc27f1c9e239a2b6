"""Questions to states: BERT's embeddings and the lower half of a text/fusion stack."""

import torch
from torch import Tensor, nn

from .transformer import TransformerStack


class TextEmbeddings(nn.Module):
    """Word, position and token-type embeddings of BERT, summed and normalised."""

    def __init__(
        self, vocab_size: int, width: int, max_positions: int, num_token_types: int, dropout: float, eps: float
    ):
        super().__init__()
        self.word_embeddings = nn.Embedding(vocab_size, width)
        self.position_embeddings = nn.Embedding(max_positions, width)
        self.token_type_embeddings = nn.Embedding(num_token_types, width)
        self.LayerNorm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Tensor, overlay: Tensor | None = None) -> Tensor:
        """``[B, L]`` token ids -> ``[B, L, D]``; all tokens are of type 0.

        `overlay` ``[n, D]`` stands in for the first n rows of the position table (see `DeST.published_quirks`).
        """
        positions = self.position_embeddings.weight
        if overlay is not None:
            positions = torch.cat([overlay, positions[len(overlay) :]])
        x = self.word_embeddings(ids) + positions[: ids.shape[1]] + self.token_type_embeddings.weight[0]
        return self.dropout(self.LayerNorm(x))


class TextEncoder(nn.Module):
    """``text_encoder`` of the published checkpoints: embeddings and a whole text/fusion stack."""

    def __init__(self, embeddings: TextEmbeddings, encoder: TransformerStack):
        super().__init__()
        self.embeddings = embeddings
        self.encoder = encoder

    def forward(self, ids: Tensor, mask: Tensor, overlay: Tensor | None = None) -> Tensor:
        """``[B, L]`` token ids, and mask (True or 1 = a token) -> states after the plain layers ``[B, L, D]``."""
        return self.encoder.encode(self.embeddings(ids, overlay), mask.bool())
