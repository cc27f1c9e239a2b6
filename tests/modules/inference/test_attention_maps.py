"""Attention that is computed again is the network's own, and says what the answer depends on."""

import pytest
import torch

from datamodules.batch import Questions
from modules.inference.attention_maps import AttentionMaps, attention_maps, weighted_heads
from modules.models.dest import DeST, VideoMemory
from tests.modules.models.test_dest import SMALL, lively, make_batch


def look(network: DeST, batch: dict) -> dict:
    """Memory, question and answers of a batch, as `attention_maps` takes them."""
    with torch.no_grad():
        memory = network.project_videos(network.encode_videos(batch))
        answers = network.encode_answers(batch["answer_ids"], batch["answer_mask"])
    return {"batch": batch, "question": batch["questions"], "memory": memory, "answers": answers}


def maps_of(network: DeST, video: dict, index: int = 0, *catch) -> AttentionMaps:
    return attention_maps(network, video["question"], video["memory"], video["answers"], index, *catch)


@pytest.fixture(scope="module")
def network() -> DeST:
    return lively(DeST(SMALL)).requires_grad_(False)


@pytest.fixture(scope="module")
def video(network) -> dict:
    """Of the only question about one video."""
    batch = make_batch([1], seed=3)
    batch["clip_mask"] = torch.tensor([[True] * 4 + [False]])
    return look(network, batch)


@pytest.mark.parametrize("stream", ["frames", "clips"])
def test_states_are_those_of_the_network(network, video, stream):
    memory, question = video["memory"], video["question"]
    features = getattr(network, "frame_features" if stream == "frames" else "video_features")
    with torch.no_grad():
        hidden = network.encode_questions(question.ids, question.mask)
        expected, nothing = features(hidden, question, memory)
    found, attention = features(hidden, question, memory, return_attention=True)
    assert nothing is None
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    number = memory.num_frames if stream == "frames" else 1
    assert attention.shape[:3] == (number, SMALL.num_heads, 1)
    torch.testing.assert_close(attention.sum(-1), torch.ones(attention.shape[:3]))


@torch.no_grad()
def test_attention_of_several_questions_about_each_of_several_videos(network):
    batch = make_batch([2, 2])
    questions, memory = batch["questions"], network.project_videos(network.encode_videos(batch))
    _, together = network.question_features(questions, memory, return_attention=True)
    assert together["frames"].shape[:3] == (4, SMALL.num_heads, 2)  # two videos of two frames, two questions about each
    for row in range(4):
        alone = Questions(questions.ids[row, None], questions.mask[row, None], [questions.lengths[row]], [1])
        own = questions.video(row)
        memory_of_one = VideoMemory(
            [(keys[own, None], values[own, None]) for keys, values in memory.frames],
            memory.num_frames,
            [(keys[own, None], values[own, None]) for keys, values in memory.clips],
            memory.clip_mask[own, None],
        )
        _, found = network.question_features(alone, memory_of_one, return_attention=True)
        for stream, number in (("frames", 2), ("clips", 1)):
            expected = together[stream][own * number : (own + 1) * number, :, row % 2]
            torch.testing.assert_close(found[stream][:, :, 0], expected, rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_finite_differences(network, video):
    """d(log-odds) / d(attention), by moving a little attention from one clip to another."""
    caught = {}

    def catch(attention, gradient):
        caught[len(caught)] = attention, gradient
        return weighted_heads(attention, gradient)

    with torch.no_grad():
        logits = network({"memory": video["memory"], "questions": video["question"]}, video["answers"])[0]
    index = int(logits.argmax())
    maps_of(network, video, index, catch)
    attention, gradient = caught[1]  # of the clips

    def odds(moved: torch.Tensor) -> torch.Tensor:
        stack, memory = network.temporal_encoder.encoder, video["memory"]
        hidden = network.encode_questions(video["question"].ids, video["question"].mask)
        *_, (_, values) = memory.clips
        layer = stack.layer[-1]
        for lower, (keys, own) in zip(stack.fusion_layers[:-1], memory.clips[:-1], strict=True):
            asked = lower.attention(hidden, video["question"].mask[:, None, None].bool())
            hidden, _ = lower.attend_memory(asked, keys, own, memory.clip_mask, [1])
        asking = layer.attention(hidden, video["question"].mask[:, None, None].bool(), num_queries=1)
        context = (moved[:, :, None] @ values[0]).transpose(1, 2).flatten(2)
        state = layer.feed_forward(layer.crossattention.output(context, asking))[0, 0]
        hidden = network.encode_questions(video["question"].ids, video["question"].mask)
        frames = network.frame_features(hidden, video["question"], video["memory"])[0][0]
        found = video["answers"] @ (frames + network.video_head(state))
        return found[index] - torch.cat([found[:index], found[index + 1 :]]).logsumexp(0)

    with torch.no_grad():
        for head in range(SMALL.num_heads):
            step = torch.zeros_like(attention)
            step[0, head, 0], step[0, head, 2] = 0.01, -0.01
            slope = (odds(attention + step) - odds(attention - step)) / 0.02
            expected = gradient[0, head, 0] - gradient[0, head, 2]
            torch.testing.assert_close(slope, expected, rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_maps_are_shares(network, video, dtype):
    """Those of a memory of half precision are those of float32, but for its rounding; the same under autocast."""
    expected = maps_of(network, video)
    assert expected.frames.shape == (video["memory"].num_frames, 2, 2)
    assert (expected.clips > 0).tolist() == video["batch"]["clip_mask"][0].tolist()  # nothing on padding
    with torch.autocast("cpu", dtype):
        half = look(network, video["batch"])
    assert half["memory"].frames[-1][0].dtype == dtype
    found = maps_of(network, half)
    with torch.autocast("cpu", dtype):
        again = maps_of(network, half)
    for name in ("frames", "clips"):
        one, other = getattr(expected, name), getattr(found, name)
        assert one.min() >= 0 and float(one.sum()) == pytest.approx(1) and not one.requires_grad
        assert other.dtype == torch.float32
        torch.testing.assert_close(other, one, rtol=0.2, atol=0.02)
        assert torch.equal(getattr(again, name), other)


def test_heads_weigh_by_what_depends_on_them():
    attention = torch.tensor([[[0.9, 0.1], [0.2, 0.8]]])  # [M, H, T]
    one = weighted_heads(attention, torch.tensor([[[3.0, 1.0], [5.0, 5.0]]]))  # the second head might look anywhere
    torch.testing.assert_close(one, attention[:, 0])
    both = weighted_heads(attention, torch.tensor([[[3.0, 1.0], [1.0, 3.0]]]))
    torch.testing.assert_close(both, attention.mean(1))
    torch.testing.assert_close(weighted_heads(attention, torch.zeros(1, 2, 2)), attention.mean(1))


def test_one_stream_one_answer_and_the_published_mask():
    network, batch = lively(DeST(SMALL, temporal=False)), make_batch([1])
    batch |= {"answer_ids": batch["answer_ids"][:1], "answer_mask": batch["answer_mask"][:1]}
    maps = maps_of(network, look(network, batch))
    assert maps.clips is None and float(maps.frames.sum()) == pytest.approx(1)
    network, batch = lively(DeST(SMALL, published_quirks=True)), make_batch([1])
    batch["clip_mask"] = torch.ones(1, 5, dtype=torch.bool)
    maps = maps_of(network, look(network, batch))
    assert (maps.clips > 0).tolist() == [True, True, True, False, False]  # it leaves out the last clips
