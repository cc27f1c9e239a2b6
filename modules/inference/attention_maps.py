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

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.models.dest import DeST, VideoMemory
from modules.models.transformer import KeyValue, TransformerStack


@dataclass(frozen=True)
class AttentionMaps:
    """Shares of attention, in the host's memory.

    Attributes:
        frames: [F, h, w], sums to 1 over all; None without a spatial stream.
        clips: [S], sums to 1, 0 on padding; None without a temporal stream.
    """

    frames: Tensor | None
    clips: Tensor | None


def weighted_heads(attention: Tensor, gradient: Tensor) -> Tensor:
    """A mean over heads by how much the answer depends on where each looks: two of [M, H, T] -> [M, T]."""
    heads = gradient.std(-1, correction=0, keepdim=True)  # [M, H, 1]
    heads = torch.where(heads.any(), heads, 1.0)  # all alike when nothing depends on the attention
    return (heads * attention).sum(1) / heads.sum()


def attention_maps(
    network: DeST,
    ids: Tensor,
    memory: VideoMemory,
    answers: Tensor,
    index: int,
    join_heads: Callable[[Tensor, Tensor], Tensor] = weighted_heads,
) -> AttentionMaps:
    """Attention maps of an answer to one question about one video; in float32, whatever the memory is.

    Args:
        network: in evaluation mode.
        ids: int [1, L], the question, without padding.
        memory: of the video, from `DeST.project_videos`.
        answers: features of all answers, [A, head_width].
        index: of the answer to explain.
        join_heads: attention and its gradient, [M, H, T], to a map [M, T].
    """
    weights = {}
    with torch.autocast(ids.device.type, enabled=False), torch.enable_grad():
        with torch.no_grad():
            hidden = network.encode_questions(ids, torch.ones_like(ids))
        features = 0
        if network.spatial:
            states, weights["frames"] = fuse(network.text_encoder.encoder, hidden, memory.frames)
            features = network.frame_head(states).mean(0)
        if network.temporal:
            stack = network.temporal_encoder.encoder
            states, weights["clips"] = fuse(stack, hidden, memory.clips, memory.clip_mask)
            features = features + network.video_head(states[0])
        logits = network.score(features[None], answers)[0]
        others = torch.cat([logits[:index], logits[index + 1 :]])
        # With a single answer in the vocabulary there are no odds.
        score = logits[index] - others.logsumexp(0) if len(others) else logits[index]
        gradients = torch.autograd.grad(score, list(weights.values()))
    maps = {
        name: join_heads(attention.detach()[:, :, 0], gradient[:, :, 0])
        for (name, attention), gradient in zip(weights.items(), gradients, strict=True)
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


def fuse(
    stack: TransformerStack, hidden: Tensor, memory: Sequence[KeyValue], memory_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """`TransformerStack.fuse` for one question about one video, with the attention of the last layer.

    Args:
        hidden: [1, L, D], states of the question after the plain layers.
        memory: keys and values of each layer, two of [1, M, H, T, D/H], of any precision.
        memory_mask: bool [1, T], True = may be attended to; None = everything.

    Returns:
        states of CLS, [M, D]; its attention, [M, H, 1, T], from which alone the states are differentiated.
    """
    num_memories = memory[0][0].shape[1]
    *lower, last = stack.fusion_layers
    *lower_memory, (keys, values) = memory
    keys, values = keys.float(), values.float()
    with torch.no_grad():
        hidden = hidden.expand(num_memories, -1, -1)
        for layer, (own_keys, own_values) in zip(lower, lower_memory, strict=True):
            own_keys, own_values = own_keys.float(), own_values.float()
            hidden = layer.attend_memory(layer.attention(hidden, None), own_keys, own_values, memory_mask, [1])
        asking = last.attention(hidden, None, num_queries=1)  # [M, 1, D]
        attention = last.crossattention
        query = attention.split_heads(attention.self.query(asking))  # [M, H, 1, D/H]
        logits = query @ keys[0].transpose(-1, -2) / query.shape[-1] ** 0.5  # [M, H, 1, T]
        if memory_mask is not None:
            logits = logits.masked_fill(~memory_mask, float("-inf"))
        weights = logits.softmax(-1)
    weights = weights.requires_grad_()
    context = (weights @ values[0].detach()).transpose(1, 2).flatten(2)  # [M, 1, D]
    return last.feed_forward(attention.output(context, asking))[:, 0], weights


def _shares(attention: Tensor) -> Tensor:
    return attention / attention.sum().clamp(min=torch.finfo(attention.dtype).tiny)
