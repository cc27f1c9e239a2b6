"""The temporal stream's own parts: clip features to a sequence, and its text-conditioned stack (paper, section 3.2)."""

import torch
from torch import Tensor, nn

from .transformer import TransformerStack


class TemporalEmbedding(nn.Module):
    """Clip features, framed by BOS and EOS, with learned positions."""

    def __init__(self, in_width: int, width: int, max_clips: int, dropout: float = 0.1):
        super().__init__()
        self.proj = nn.Linear(in_width, width)
        self.bos = nn.Parameter(torch.empty(width))
        self.eos = nn.Parameter(torch.empty(width))
        self.frame_pos_embed = nn.Embedding(max_clips + 2, width)
        self.ln = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, clips: Tensor, mask: Tensor, two_short: bool = False) -> tuple[Tensor, Tensor]:
        """Frames each video's clips by BOS and EOS.

        Args:
            clips: float ``[V, S, in_width]``.
            mask: bool ``[V, S]``, True = a clip. The clips of a video come first, padding after them.
            two_short: the mask of the published fine-tuning code, two positions short: EOS falls on the last clip but
                one, and nothing from there on is seen.

        Returns:
            states ``[V, S + 2, D]`` and their mask, bool ``[V, S + 2]``.
        """
        x = self.proj(clips)
        num_videos, num_clips, width = x.shape
        ends = (mask.sum(1) + (-1 if two_short else 1)).clamp(min=0)  # where EOS stands
        positions = torch.arange(num_clips + 2, device=x.device)
        is_eos = (positions == ends[:, None])[..., None]  # [V, S + 2, 1]
        bos = self.bos.to(x.dtype).expand(num_videos, 1, width)
        x = torch.cat([bos, x, x.new_zeros(num_videos, 1, width)], dim=1)
        x = torch.where(is_eos, self.eos.to(x.dtype), x)
        x = x + self.frame_pos_embed.weight[: num_clips + 2]
        return self.dropout(self.ln(x)), positions <= ends[:, None]


class TemporalEncoder(nn.Module):
    """``temporal_encoder`` of the published checkpoints: a text/fusion stack without embeddings.

    The plain layers read the clip sequence; in the fusion layers the question's states attend to the result.
    """

    def __init__(self, encoder: TransformerStack):
        super().__init__()
        self.encoder = encoder

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """The plain layers: ``[V, S, D]``, bool ``[V, S]`` -> ``[V, S, D]``."""
        return self.encoder.encode(states, mask)
