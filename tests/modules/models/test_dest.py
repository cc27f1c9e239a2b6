"""The network's arithmetic: sharing, chunks, order and padding change nothing."""

import pytest
import torch

import modules  # noqa: F401  (declares torchvision's operators first)
from datamodules.batch import Questions
from modules.models.dest import DeST
from modules.models.settings import ModelSizes

SMALL = ModelSizes(
    **{"hidden_size": 32, "head_width": 24, "image_size": 32, "patch_size": 16, "vit_depth": 1, "vit_heads": 2},
    **{"num_layers": 4, "num_text_layers": 2, "num_heads": 2, "intermediate_size": 48, "vocab_size": 60},
    **{"max_text_positions": 32, "answer_layers": 1, "answer_heads": 2, "answer_intermediate_size": 48},
    **{"input_video_embed_size": 8, "max_clips": 10},
)


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


def one_by_one(model: DeST, batch: dict) -> torch.Tensor:
    """Every question alone with its own copy of its video, without padding: what the published code computes."""
    rows, questions = [], batch["questions"]
    texts = zip(batch["answer_ids"], batch["answer_mask"], strict=True)
    answers = torch.cat([model.ans_encoder(ids[None, : mask.sum()], mask[None, : mask.sum()]) for ids, mask in texts])
    for question, length in enumerate(questions.lengths):
        video = questions.video(question)
        clips = slice(int(batch["clip_mask"][video].sum()))
        alone = {name: batch[name][video, None, clips] for name in ("clips", "clip_mask")}
        memory = model.project_videos(model.encode_videos(alone | {"frames": batch["frames"][video, None]}))
        ids, mask = (tensor[question, None, :length] for tensor in (questions.ids, questions.mask))
        rows.append(model.question_features(Questions(ids, mask, [length], [1]), memory)[0] @ answers.T)
    return torch.cat(rows)


@torch.no_grad()
@pytest.mark.parametrize("questions_at_once", [1, 2, 3, 8, 100])
def test_chunks_and_what_is_encoded_before_change_no_answer(model, questions_at_once, monkeypatch):
    batch, passes, original = make_batch([5, 0, 1, 3]), [], model.question_features
    expected = model(batch)
    # uint8 frames are normalised as published.
    numbers = torch.tensor([[0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]])
    mean, std = numbers[..., None, None]
    videos = model.encode_videos(batch | {"frames": (batch["frames"] / 255 - mean) / std})
    encoded = {"memory": model.project_videos(videos), "questions": batch["questions"]}
    answers = model.encode_answers(batch["answer_ids"], batch["answer_mask"])
    counted = lambda own, *rest, **known: passes.append(own) or original(own, *rest, **known)  # noqa: E731
    monkeypatch.setattr(model, "question_features", counted)
    torch.testing.assert_close(model(encoded, answers, questions_at_once), expected, rtol=1e-4, atol=1e-5)
    assert max(map(len, passes)) <= questions_at_once
    assert all(chunk.ids.shape[1] == max(chunk.lengths) for chunk in passes) or questions_at_once >= 9


def test_sharing_and_checkpointing_change_no_gradient():
    batch, gradients = make_batch([2, 2, 1]), []
    for forward, checkpointing in ((DeST.forward, False), (DeST.forward, True), (one_by_one, False)):
        model = lively(DeST(SMALL, drop_rate=0.0)).train()
        if checkpointing:
            model.enable_grad_checkpointing()
        torch.nn.functional.cross_entropy(forward(model, batch), torch.tensor([1, 4, 0, 8, 2])).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    for found in gradients[1:]:
        assert "visual_encoder.pos_embed" in found
        torch.testing.assert_close(found, gradients[0], rtol=1e-4, atol=1e-4)
