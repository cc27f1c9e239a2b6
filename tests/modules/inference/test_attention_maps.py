"""Attention that is computed again is the network's own, and says what the answer depends on."""

import pytest
import torch

from modules.inference.attention_maps import AttentionMaps, attention_maps, weighted_heads
from modules.models.dest import DeST
from tests.modules.models.test_dest import SMALL, lively, make_batch


@torch.no_grad()
def look(network: DeST, batch: dict) -> dict:
    """Memory, question and answers of a batch, as `attention_maps` takes them."""
    memory = network.project_videos(network.encode_videos(batch))
    answers = network.encode_answers(batch["answer_ids"], batch["answer_mask"])
    return {"question": batch["questions"], "memory": memory, "answers": answers}


def maps_of(network: DeST, batch: dict, index: int = 0, join_heads=weighted_heads) -> AttentionMaps:
    return attention_maps(network, **look(network, batch), index=index, join_heads=join_heads)


@pytest.fixture(scope="module")
def network() -> DeST:
    return lively(DeST(SMALL)).requires_grad_(False)


@pytest.fixture(scope="module")
def batch() -> dict:
    """The only question about one video."""
    return make_batch([1], seed=3) | {"clip_mask": torch.tensor([[True] * 4 + [False]])}


def test_gradients_are_those_of_finite_differences(network, batch, monkeypatch):
    """d(log-odds) / d(attention), by moving a little attention from one clip to another."""
    caught, asked = [], look(network, batch)

    def catch(attention, gradient):
        caught.append((attention, gradient))
        return weighted_heads(attention, gradient)

    inputs = {"memory": asked["memory"], "questions": asked["question"]}, asked["answers"]
    index = int(network(*inputs)[0].argmax())
    maps_of(network, batch, index, catch)
    _, (attention, gradient) = caught  # of the frames, of the clips
    last = network.temporal_encoder.encoder.layer[-1].crossattention
    original, step = last.attend, torch.zeros_like(attention)[:, :, None]

    def attend(query, key_value, mask, return_attention=False):
        _, weights = original(query, key_value, mask, return_attention=True)
        return ((weights + step) @ key_value[1]).transpose(1, 2).flatten(2), None

    @torch.no_grad()
    def odds() -> torch.Tensor:
        found = network(*inputs)[0]
        return found[index] - torch.cat([found[:index], found[index + 1 :]]).logsumexp(0)

    monkeypatch.setattr(last, "attend", attend)
    for head in range(SMALL.num_heads):
        ends = []
        for moved in (0.01, -0.01):
            step.zero_()
            step[0, head, 0, 0], step[0, head, 0, 2] = moved, -moved
            ends.append(odds())
        expected = gradient[0, head, 0] - gradient[0, head, 2]
        torch.testing.assert_close((ends[0] - ends[1]) / 0.02, expected, rtol=0.02, atol=1e-3)


def test_maps_are_shares(network, batch):
    """Those of half precision are those of float32, but for its rounding."""
    expected = maps_of(network, batch)
    with torch.autocast("cpu", torch.float16):
        half = look(network, batch)
    assert half["memory"].frames[-1][0].dtype == torch.float16
    found = attention_maps(network, **half, index=0)
    assert expected.frames.shape == (half["memory"].num_frames, 2, 2)
    assert (expected.clips > 0).tolist() == batch["clip_mask"][0].tolist()  # nothing on padding
    for one, other in ((expected.frames, found.frames), (expected.clips, found.clips)):
        assert one.min() >= 0 and float(one.sum()) == pytest.approx(1) and not one.requires_grad
        torch.testing.assert_close(other, one, rtol=0.2, atol=0.02)
