"""The network's arithmetic: sharing, chunks, order and masks change nothing."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import modules  # noqa: F401  (declares torchvision's operators first)
from datamodules.batch import Questions
from modules.models.dest import DeST
from modules.models.settings import ModelSizes
from modules.models.temporal import TemporalEmbedding

SMALL = ModelSizes(
    hidden_size=32,
    head_width=24,
    image_size=32,
    patch_size=16,
    vit_depth=1,
    vit_heads=2,
    num_layers=4,
    num_text_layers=2,
    num_heads=2,
    intermediate_size=48,
    vocab_size=60,
    max_text_positions=32,
    answer_layers=1,
    answer_heads=2,
    answer_intermediate_size=48,
    input_video_embed_size=8,
    max_clips=10,
)
CLIPS = torch.tensor([5, 1, 2])


def lively(model: DeST) -> DeST:
    """Weights large enough for every part to matter (the 0.02 of the random start leaves logits near zero)."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif parameter.ndim > 1 or name.endswith(("bos", "eos")):
                parameter.normal_(std=0.2, generator=generator)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> DeST:
    return lively(DeST(SMALL))


def make_batch(counts: list[int], seed: int = 0) -> dict:
    generator = torch.Generator().manual_seed(seed)
    num_videos, num_questions = len(counts), sum(counts)

    def integers(low: int, high: int, *shape: int) -> torch.Tensor:
        return torch.randint(low, high, shape, generator=generator)

    clip_counts = integers(1, 6, num_videos)
    lengths = integers(1, 8, num_questions, 1)
    return {
        "frames": integers(0, 256, num_videos, 2, 3, 32, 32).to(torch.uint8),
        "clips": torch.randn(num_videos, 5, 8, generator=generator),
        "clip_mask": torch.arange(5) < clip_counts[:, None],
        "questions": Questions(
            integers(1, 60, num_questions, 7), (torch.arange(7) < lengths).long(), lengths[:, 0].tolist(), counts
        ),
        "answer_ids": integers(1, 60, 9, 6),
        "answer_mask": (torch.arange(6) < integers(1, 7, 9, 1)).long(),
    }


def in_any_order(batch: dict, order: torch.Tensor) -> dict:
    """The batch with its questions in this order, as a notebook may give them."""
    questions = batch["questions"]
    video_index = torch.repeat_interleave(torch.arange(len(batch["frames"])), torch.tensor(questions.per_video))
    loose = {"question_ids": questions.ids, "question_mask": questions.mask, "video_index": video_index}
    rest = {name: value for name, value in batch.items() if name != "questions"}
    return rest | {name: tensor[order] for name, tensor in loose.items()}


def one_by_one(model: DeST, batch: dict) -> torch.Tensor:
    """Every question alone with its own copy of its video, without padding: what the published code computes."""
    rows = []
    answers = [
        model.ans_encoder(ids[None, : mask.sum()], mask[None, : mask.sum()])
        for ids, mask in zip(batch["answer_ids"], batch["answer_mask"], strict=True)
    ]
    questions = batch["questions"]
    for question, length in enumerate(questions.lengths):
        video = questions.video(question)
        num_clips = int(batch["clip_mask"][video].sum())
        alone = {
            "frames": batch["frames"][video, None],
            "clips": batch["clips"][video, None, :num_clips],
            "clip_mask": batch["clip_mask"][video, None, :num_clips],
        }
        memory = model.project_videos(model.encode_videos(alone))
        ids, mask = (tensor[question, None, :length] for tensor in (questions.ids, questions.mask))
        rows.append(model.question_features(Questions(ids, mask, [length], [1]), memory)[0] @ torch.cat(answers).T)
    return torch.cat(rows)


@torch.no_grad()
@given(counts=st.lists(st.integers(0, 4), min_size=1, max_size=4).filter(any), seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_sharing_a_video_changes_no_answer(model, counts, seed):
    batch = make_batch(counts, seed)
    torch.testing.assert_close(model(batch), one_by_one(model, batch), rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("questions_at_once", [1, 2, 3, 8, 100])
def test_chunks_change_no_answer(model, questions_at_once, monkeypatch):
    batch = make_batch([5, 0, 1, 3])
    whole, passes = model(batch), []
    original = model.question_features

    def question_features(questions, memory, **known):
        passes.append(questions)
        return original(questions, memory, **known)

    monkeypatch.setattr(model, "question_features", question_features)
    torch.testing.assert_close(model(batch, questions_at_once=questions_at_once), whole, rtol=1e-4, atol=1e-5)
    assert max(map(len, passes)) <= questions_at_once
    assert sum(map(len, passes)) == 9
    if questions_at_once < 9:
        assert all(chunk.ids.shape[1] == max(chunk.lengths) for chunk in passes)


@torch.no_grad()
def test_encoded_videos_and_answers_stand_in_for_their_own(model):
    batch = make_batch([2, 1])
    memory = model.project_videos(model.encode_videos(batch))
    answers = model.encode_answers(batch["answer_ids"], batch["answer_mask"])
    torch.testing.assert_close(model({"memory": memory, "questions": batch["questions"]}, answers), model(batch))


@torch.no_grad()
def test_questions_may_come_in_any_order(model):
    batch = make_batch([2, 3, 1])
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    torch.testing.assert_close(model(in_any_order(batch, order)), model(batch)[order])
    in_chunks = model(in_any_order(batch, order), questions_at_once=2)
    torch.testing.assert_close(in_chunks, model(batch)[order], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_uint8_frames_are_normalised_as_published(model):
    batch = make_batch([1, 1])
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    normalised = batch | {"frames": (batch["frames"] / 255 - mean) / std}
    torch.testing.assert_close(model(normalised), model(batch))


@torch.no_grad()
def test_what_stands_in_padding_does_not_matter(model):
    batch = make_batch([2, 1])
    expected = model(batch)
    noisy = dict(batch)
    noisy["clips"] = torch.where(batch["clip_mask"][..., None], batch["clips"], torch.full((), 7.0))
    questions = batch["questions"]
    noisy["questions"] = replace(questions, ids=torch.where(questions.mask.bool(), questions.ids, 3))
    noisy["answer_ids"] = torch.where(batch["answer_mask"].bool(), batch["answer_ids"], 3)
    torch.testing.assert_close(model(noisy), expected)


@torch.no_grad()
def test_every_clip_is_seen(model):
    """The published code never sees the last two clips; here each one changes the answer, of short videos as well."""
    batch = make_batch([1, 1, 1]) | {"clip_mask": torch.arange(5) < CLIPS[:, None]}
    before = model(batch)
    for video, clip in [(0, 3), (0, 4), (1, 0), (2, 0), (2, 1)]:
        clips = batch["clips"].clone()
        clips[video, clip] += 3
        changed = (model(batch | {"clips": clips}) - before).abs().amax(1) > 1e-4
        assert changed.tolist() == [row == video for row in range(3)]


def test_bos_and_eos_frame_the_clips():
    embedding = TemporalEmbedding(8, 4, 10, dropout=0.0)
    torch.nn.init.zeros_(embedding.frame_pos_embed.weight)
    embedding.ln = torch.nn.Identity()
    torch.nn.init.constant_(embedding.bos, 11.0)
    torch.nn.init.constant_(embedding.eos, 22.0)
    clips = torch.randn(3, 5, 8)
    mask = torch.arange(5) < CLIPS[:, None]
    states, states_mask = embedding(clips, mask)
    assert states_mask.sum(1).tolist() == [7, 3, 4]
    for video, number in enumerate(CLIPS.tolist()):
        assert (states[video, 0] == 11).all()
        torch.testing.assert_close(states[video, 1 : number + 1], embedding.proj(clips[video, :number]))
        assert (states[video, number + 1] == 22).all()


def test_published_quirk_hides_the_last_clips():
    embedding = TemporalEmbedding(8, 4, 10, dropout=0.0)
    _, mask = embedding(torch.randn(3, 5, 8), torch.arange(5) < CLIPS[:, None], two_short=True)
    assert mask.sum(1).tolist() == [5, 1, 2]


def test_mean_baseline_has_no_temporal_part():
    names = [name for name, _ in DeST(SMALL, temporal=False).named_parameters()]
    assert not any(name.startswith(("temporal_", "video_head")) for name in names)


def test_temporal_stream_starts_as_a_copy_of_the_text_encoder():
    torch.manual_seed(0)
    model = DeST(SMALL)
    own, text = model.temporal_encoder.encoder.state_dict(), model.text_encoder.encoder.state_dict()
    assert own.keys() == text.keys()
    assert all(torch.equal(own[name], text[name]) for name in own)
    table = model.text_encoder.embeddings.position_embeddings.weight
    assert torch.equal(model.temporal_embedding.frame_pos_embed.weight, table[:12])
    assert model.temporal_embedding.frame_pos_embed.weight.data_ptr() != table.data_ptr()


def test_frozen_frames_leave_no_graph():
    model = DeST(SMALL)
    model.visual_encoder.requires_grad_(False)
    assert not model.encode_frames(make_batch([1])["frames"]).requires_grad
    model.visual_encoder.requires_grad_(True)
    assert model.encode_frames(make_batch([1])["frames"]).requires_grad


def test_gradient_checkpointing_gives_the_same_gradients():
    batch = make_batch([2, 1])
    gradients = []
    for checkpointing in (False, True):
        model = lively(DeST(SMALL, drop_rate=0.0)).train()
        if checkpointing:
            model.enable_grad_checkpointing()
        model(batch).square().sum().backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


def test_shared_training_pass_has_the_gradients_of_single_questions():
    """Loss and gradients of a batch with shared videos equal those of one pass per question (no dropout)."""
    batch = make_batch([3, 1])
    labels = torch.tensor([1, 4, 0, 8])
    gradients = []
    for forward in (lambda model: model(batch), lambda model: one_by_one(model, batch)):
        model = lively(DeST(SMALL, drop_rate=0.0)).train()
        torch.nn.functional.cross_entropy(forward(model), labels).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-4, atol=1e-4, msg=name)
