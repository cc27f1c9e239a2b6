"""Work of the published size: a model, videos and questions of the shapes of ActivityNet-QA and AGQA, from a seed."""

from dataclasses import dataclass

import torch

from datamodules.batch import Questions
from modules.models.dest import DeST
from modules.models.settings import ModelSizes
from modules.objectives.open_ended_qa import OpenEndedQA
from modules.objectives.settings import OptimizerSettings

PUBLISHED_FREEZE = ("visual_encoder", "text_encoder.embeddings", "ans_encoder.lm.embeddings")
SMALL = ModelSizes(
    hidden_size=64,
    head_width=64,
    image_size=64,
    patch_size=16,
    vit_depth=2,
    vit_heads=2,
    num_layers=4,
    num_text_layers=2,
    num_heads=2,
    intermediate_size=128,
    vocab_size=1000,
    answer_layers=1,
    answer_heads=2,
    answer_intermediate_size=128,
)


@dataclass(frozen=True)
class Shape:
    """Sizes of a dataset at test time."""

    num_frames: int
    num_clips: int
    questions_in_video: int
    num_answers: int
    question_tokens: tuple[int, int]  # shortest and longest question, CLS and SEP counted
    naive_batch: int  # questions among which the naive way shares one encoding of the answers


SHAPES = {
    "anetqa": Shape(16, 100, 10, 1654, (7, 16), naive_batch=16),
    "agqa": Shape(8, 40, 370, 171, (8, 20), naive_batch=32),
}


def texts(count: int, lengths: tuple[int, int], vocab_size: int, generator: torch.Generator):
    """Random token ids and mask ``[count, L]``, of lengths spread evenly."""
    sizes = torch.randint(lengths[0], lengths[1] + 1, (count, 1), generator=generator)
    mask = (torch.arange(int(sizes.max())) < sizes).long()
    return torch.randint(1, vocab_size, mask.shape, generator=generator) * mask, mask


def make_task(
    sizes: ModelSizes,
    shape: Shape,
    drop_rate: float,
    questions_at_once: int,
    frozen_precision: str = "same",
    temporal: bool = True,
) -> OpenEndedQA:
    """A model with random weights, large enough for answers to differ, and a random vocabulary."""
    torch.manual_seed(0)  # of the weights that are not drawn below
    generator = torch.Generator().manual_seed(0)
    # Most answers are one or two words: three or four tokens with CLS and SEP; a few have eight.
    ids, mask = texts(shape.num_answers, (3, 5), sizes.vocab_size, generator)
    long_ids, long_mask = texts(max(1, shape.num_answers // 50), (8, 8), sizes.vocab_size, generator)
    ids = torch.nn.functional.pad(ids, (0, 3))
    mask = torch.nn.functional.pad(mask, (0, 3))
    ids[: len(long_ids)], mask[: len(long_ids)] = long_ids, long_mask
    task = OpenEndedQA(
        DeST(sizes, temporal=temporal, drop_rate=drop_rate, frozen_precision=frozen_precision),
        OptimizerSettings(warmup_steps=0),
        [str(index) for index in range(shape.num_answers)],
        ids,
        mask,
        per_gpu_batchsize=questions_at_once,
        freeze=PUBLISHED_FREEZE,
    )
    with torch.no_grad():
        for name, parameter in task.model.named_parameters():
            if parameter.ndim > 1 and "embeddings" not in name:
                parameter.normal_(std=0.04, generator=generator)
    return task


def make_batch(model: DeST, shape: Shape, counts: list[int], seed: int = 0) -> dict:
    """A batch as `datamodules.batch` makes it: uint8 frames, all clips, ``counts[v]`` questions about video v."""
    sizes = model.sizes
    generator = torch.Generator().manual_seed(seed)
    num_videos = len(counts)
    side = sizes.image_size
    ids, mask = texts(sum(counts), shape.question_tokens, sizes.vocab_size, generator)
    frames = torch.randint(0, 256, (num_videos, shape.num_frames, 3, side, side), generator=generator)
    return {
        "frames": frames.to(torch.uint8),
        "clips": torch.randn(num_videos, shape.num_clips, sizes.input_video_embed_size, generator=generator),
        "clip_mask": torch.ones(num_videos, shape.num_clips, dtype=torch.bool),
        "questions": Questions(ids, mask, mask.sum(1).tolist(), counts),
        "labels": torch.randint(0, shape.num_answers, (sum(counts),), generator=generator),
        "indices": list(range(sum(counts))),
        **{name: [str(index) for index in range(sum(counts))] for name in ("qids", "question_texts", "answer_texts")},
    }
