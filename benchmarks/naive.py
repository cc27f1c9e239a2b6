"""The naive way, in plain code: every question brings its own video, and every batch encodes all the answers.

It computes with the weights of a `DeST`, as the original code does: one pass of the image encoder per question, the
question's states repeated for each frame, all tokens of all layers, attention written out, padding
computed like the rest.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modules.models.dest import DeST
from modules.models.transformer import Attention, Layer


def attention(module: Attention, hidden: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
    def heads(x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], module.num_heads, -1).transpose(1, 2)

    query, key, value = (
        heads(module.self.query(hidden)),
        heads(module.self.key(memory)),
        heads(module.self.value(memory)),
    )
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    scores = scores.masked_fill(~mask[:, None, None].bool(), -10000.0)
    weights = F.dropout(scores.softmax(-1), module.dropout, module.training)
    return module.output((weights @ value).transpose(1, 2).flatten(2), hidden)


def run_layer(layer: Layer, hidden: Tensor, mask: Tensor, memory: Tensor | None = None, memory_mask=None) -> Tensor:
    hidden = attention(layer.attention, hidden, hidden, mask)
    if memory is not None:
        hidden = attention(layer.crossattention, hidden, memory, memory_mask)
    return layer.feed_forward(hidden)


def run_layers(layers: nn.ModuleList, hidden: Tensor, mask: Tensor, memory=None, memory_mask=None) -> Tensor:
    for layer in layers:
        hidden = run_layer(layer, hidden, mask, memory, memory_mask)
    return hidden


def encode_frames(model: DeST, frames: Tensor) -> Tensor:
    """``[Q, F, 3, H, W]``, a video for each question -> ``[Q, F, 1 + patches, D]``."""
    layers = [block.attn for block in model.visual_encoder.blocks]
    try:
        for layer in layers:
            layer.fused_attn = False  # timm's own written-out attention, which is that of ALBEF
        with torch.no_grad():
            return model.visual_encoder(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
    finally:
        for layer in layers:
            layer.fused_attn = True


def question_features(
    model: DeST, image_tokens: Tensor, clips: Tensor, clip_mask: Tensor, ids: Tensor, mask: Tensor
) -> Tensor:
    """``[Q, F, T, D]``, ``[Q, S, in]``, ``[Q, S]``, ``[Q, L]`` twice -> ``[Q, head_width]``."""
    text, temporal = model.text_encoder.encoder, model.temporal_encoder.encoder
    hidden = run_layers(text.layer[: text.num_text_layers], model.text_encoder.embeddings(ids), mask)
    num_frames, num_tokens = image_tokens.shape[1:3]
    tokens = image_tokens.flatten(0, 1)
    repeated = hidden.repeat_interleave(num_frames, 0)
    fused = run_layers(
        text.fusion_layers,
        repeated,
        mask.repeat_interleave(num_frames, 0),
        tokens,
        torch.ones(len(tokens), num_tokens, device=tokens.device),
    )
    frame = model.frame_head(fused[:, 0]).view(len(ids), num_frames, -1).mean(1)
    states, states_mask = model.temporal_embedding(clips, clip_mask)
    states = run_layers(temporal.layer[: temporal.num_text_layers], states, states_mask)
    fused = run_layers(temporal.fusion_layers, hidden, mask, states, states_mask)
    return frame + model.video_head(fused[:, 0])


def encode_answers(model: DeST, ids: Tensor, mask: Tensor) -> Tensor:
    return model.ans_encoder(ids, mask)
