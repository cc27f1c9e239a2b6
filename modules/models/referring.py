"""The network in pre-training by Temporal Referring Modeling (paper, section 4).

Letters: Q questions, one about each joined video · S clip features (padded) · N clips in the batch · C choices ·
L tokens · D width · P width of the common space of clips and captions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .dest import DeST, VideoStates, init_linear
from .settings import ModelSettings, ModelSizes

PROJECTION_WIDTH = 256  # P
TAU = 0.07  # the temperature at the start, and …
TAU_RANGE = (0.001, 0.5)  # … where it is kept, as in ALBEF


@dataclass
class Referring:
    """The parts of TRM's two losses, all float32."""

    logits: Tensor  # [Q, C]
    clips: Tensor  # [N, P], normalised
    captions: Tensor  # [N, P], normalised


class ReferringDeST(DeST):
    """The network in pre-training: no spatial stream, and clips and captions projected into a common space.

    It carries the image encoder along, so that fine-tuning can start from a checkpoint of pre-training alone.
    """

    def __init__(self, sizes: ModelSizes, drop_rate: float = ModelSettings.drop_rate):
        super().__init__(sizes, spatial=False, drop_rate=drop_rate)
        self.vision_proj = nn.Linear(sizes.hidden_size, PROJECTION_WIDTH)
        self.text_proj = nn.Linear(sizes.hidden_size, PROJECTION_WIDTH)
        self.tau = nn.Parameter(torch.tensor(TAU))
        init_linear(self.vision_proj, sizes.init_std)
        init_linear(self.text_proj, sizes.init_std)

    def unused_parameters(self) -> list[nn.Parameter]:
        """Parameters that pre-training carries along: the image encoder and the fusion layers of `text_encoder`."""
        fusion = self.text_encoder.encoder.fusion_layers
        return [*self.visual_encoder.parameters(), *(own for layer in fusion for own in layer.parameters())]

    @torch.no_grad()
    def keep_tau_in_range(self) -> None:
        self.tau.clamp_(*TAU_RANGE)

    def refer(self, batch: Mapping[str, Any]) -> Referring:
        """All that the losses need of a batch of `datamodules.trm`."""
        states, mask = self.encode_clips(batch["clips"], batch["clip_mask"])  # [Q, S + 2, D]
        memory = self.project_videos(VideoStates(clip_states=states, clip_mask=mask))
        questions = self.question_features(batch["questions"], memory)[0]  # [Q, head_width]
        choices = self.ans_encoder(batch["choice_ids"], batch["choice_mask"])
        clips = mean_of_clips(states[:, 1:-1], batch["clip_index"], batch["clip_lengths"])
        captions = self.encode_questions(batch["caption_ids"], batch["caption_mask"])[:, 0]
        with torch.autocast(choices.device.type, enabled=False):
            choices = choices.float().unflatten(0, (len(questions), -1))  # [Q, C, head_width]
            return Referring(
                logits=torch.einsum("qd,qcd->qc", questions.float(), choices),
                clips=F.normalize(self.vision_proj(clips), dim=-1),
                captions=F.normalize(self.text_proj(captions.float()), dim=-1),
            )


def mean_of_clips(states: Tensor, clip_index: Tensor, clip_lengths: Tensor) -> Tensor:
    """The mean state of each clip, in float32.

    Args:
        states: ``[Q, S, D]``.
        clip_index: int64 ``[Q, S]``, the clip of the batch (0 to N - 1) that each state belongs to; N for padding.
        clip_lengths: int64 ``[N]``, how many states each clip has; at least 1.

    Returns:
        ``[N, D]``.
    """
    num_clips = len(clip_lengths)
    sums = torch.zeros(num_clips + 1, states.shape[-1], device=states.device)
    sums = sums.index_add(0, clip_index.flatten(), states.float().flatten(0, 1))
    return sums[:num_clips] / clip_lengths[:, None]
