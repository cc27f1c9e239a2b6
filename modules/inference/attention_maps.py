"""Maps of an answer over the patches of the frames and over the clips: attention of the last fusion layers.

The map is the attention that CLS, the token whose state is compared with the answers, pays to a memory in the last
fusion layer, as a mean over heads weighted by how much the answer depends on where a head looks:

    weight of a head = standard deviation over the memory's tokens of d(log-odds of the answer) / d(attention)

That heads are weighted by gradients is Grad-CAM's idea (Selvaraju et al., ICCV 2017), which ALBEF applies to the same
cross-attention, though token by token: positive gradient × attention. A head's attention sums to one, so that only
differences between gradients say anything, and not where they are positive. Measured on the toy world
(`python -m benchmarks.attention`), heads weighted so find the place and the moment in question; the unweighted mean
often misses the moment, ALBEF's product the place.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from datamodules.batch import Questions
from modules.models.dest import DeST, VideoMemory
from modules.models.transformer import KeyValue


@dataclass(frozen=True)
class AttentionMaps:
    """Shares of attention, in the host's memory."""

    frames: Tensor | None  # [F, h, w], sums to 1 over all; None without a spatial stream
    clips: Tensor | None  # [S], sums to 1, 0 on padding; None without a temporal stream


def weighted_heads(attention: Tensor, gradient: Tensor) -> Tensor:
    """A mean over heads by how much the answer depends on where each looks: two of [M, H, T] -> [M, T]."""
    heads = gradient.std(-1, correction=0, keepdim=True)  # [M, H, 1]
    heads = torch.where(heads.any(), heads, 1.0)  # all alike when nothing depends on the attention
    return (heads * attention).sum(1) / heads.sum()


def attention_maps(
    network: DeST,
    question: Questions,
    memory: VideoMemory,
    answers: Tensor,
    index: int,
    join_heads: Callable[[Tensor, Tensor], Tensor] = weighted_heads,
) -> AttentionMaps:
    """Attention maps of an answer to one question about one video; in float32, whatever the memory is.

    Args:
        memory: of the video, from `DeST.project_videos`.
        answers: features of all answers, [A, head_width].
        index: of the answer to explain.
        join_heads: attention and its gradient, [M, H, T], to a map [M, T].
    """
    memory = replace(memory, frames=_in_float32(memory.frames), clips=_in_float32(memory.clips))
    with torch.autocast(question.ids.device.type, enabled=False), torch.enable_grad():
        features, attentions = network.question_features(question, memory, return_attention=True)
        logits = network.score(features, answers)[0]
        others = torch.cat([logits[:index], logits[index + 1 :]])
        # With a single answer in the vocabulary there are no odds.
        score = logits[index] - others.logsumexp(0) if len(others) else logits[index]
        gradients = torch.autograd.grad(score, list(attentions.values()))
    maps = {
        stream: join_heads(attention.detach()[:, :, 0], gradient[:, :, 0])
        for (stream, attention), gradient in zip(attentions.items(), gradients, strict=True)
    }
    frames, clips = maps.get("frames"), maps.get("clips")
    if frames is not None:
        side = network.sizes.image_size // network.sizes.patch_size
        frames = _shares(frames[:, 1:]).unflatten(1, (side, side))  # without CLS
    if clips is not None:
        # Without BOS, EOS and, with `published_quirks`, the clip that is not seen.
        after = torch.arange(clips.shape[1], device=clips.device) >= memory.clip_mask.sum() - 1
        clips = _shares(clips[0].masked_fill(after, 0)[1:-1])
    return AttentionMaps(*(None if shares is None else shares.cpu() for shares in (frames, clips)))


def _in_float32(memory: Iterable[KeyValue]) -> Iterable[KeyValue]:
    """One layer after the other, for a single pass: all at once would take twice the memory."""
    return ((keys.float(), values.float()) for keys, values in memory)


def _shares(attention: Tensor) -> Tensor:
    return attention / attention.sum().clamp(min=torch.finfo(attention.dtype).tiny)
