"""What question answering and pre-training do on a device, step by step."""

import dataclasses

import pytest
import torch

from benchmarks.workload import SHAPES, make_batch, make_task
from modules.objectives.multiple_choice import MultipleChoice
from modules.objectives.settings import OptimizerSettings
from modules.objectives.temporal_referring import ReferringDeST, TemporalReferring
from tests.modules.objectives.referring_batch import make_referring_batch

from .device import gpu
from .training import SIZES, check

pytestmark = pytest.mark.gpu


def answering(name: str, counts: list[int], temporal: bool = True, at_once: int | None = None):
    """A task, and batches of so many questions about each video."""
    task = make_task(SIZES, SHAPES[name], 0.1, questions_at_once=at_once or sum(counts), temporal=temporal)
    return task, [make_batch(task.model, SHAPES[name], counts, seed) for seed in range(3)]


# Kernels of a micro-batch's forward pass, and of the optimizer step in training.
@pytest.mark.parametrize(
    ("stage", "name", "counts", "options", "kernels"),
    [
        ("train", "anetqa", [3, 1, 2, 2], {}, 1750),
        ("train", "anetqa", [1] * 8, {"temporal": False}, 1190),
        ("train", "agqa", [5, 8, 3], {}, 1520),
        ("validate", "anetqa", [5, 3], {}, 1070),
        ("predict", "anetqa", [10], {"at_once": 16}, 1030),
        ("predict", "agqa", [90, 120, 100], {"at_once": 32}, 1410),
    ],
)
def test_open_ended(stage, name, counts, options, kernels):
    with gpu() as device:
        check(stage, *answering(name, counts, **options), device, f"{stage} {name} {counts} {options}", kernels)


@pytest.mark.parametrize(("stage", "kernels"), [("train", 1550), ("predict", 1180)])
def test_multiple_choice(stage, kernels):
    """Batches bring their choices."""
    with gpu() as device:
        open_ended, batches = answering("anetqa", [3, 1, 2, 2])
        texts = {"choice_texts": [list("abcde")] * 8, "answer_texts": ["b"] * 8, "labels": torch.ones(8, dtype=int)}
        for batch in batches:
            batch |= {name: getattr(open_ended, name)[:12] for name in ("answer_ids", "answer_mask", "answer_lengths")}
            batch |= {"choices": torch.arange(40).view(8, 5) % 12, **texts}
        task = MultipleChoice(open_ended.model, OptimizerSettings())
        check(stage, task, batches, device, f"{stage} multiple choice", kernels)


@pytest.mark.parametrize(("stage", "kernels"), [("train", 1080), ("validate", 740), ("predict", 700)])
def test_temporal_referring(stage, kernels):
    with gpu() as device:
        model = ReferringDeST(dataclasses.replace(SIZES, max_clips=24))
        task = TemporalReferring(model, OptimizerSettings(warmup_steps=0), freeze=("ans_encoder.lm.embeddings",))
        batches = [make_referring_batch(16, seed, num_clips=8, width=16) for seed in range(3)]
        check(stage, task, batches, device, f"{stage} trm, 16 questions", kernels)
