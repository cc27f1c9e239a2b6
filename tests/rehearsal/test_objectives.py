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
from .training import SIZES, as_in_a_run, place, predict, train, validate


def answering(name: str, counts: list[int], temporal: bool = True):
    task = make_task(SIZES, SHAPES[name], drop_rate=0.1, questions_at_once=sum(counts), temporal=temporal)
    return task, [make_batch(task.model, SHAPES[name], counts, seed) for seed in range(3)]


# Questions about each video of a micro-batch; kernels of its forward pass and of the optimizer step.
@pytest.mark.parametrize(
    ("name", "counts", "temporal", "kernels"),
    [
        ("anetqa", [1] * 8, True, 1700),
        ("anetqa", [3, 1, 2, 2], True, 1750),
        ("anetqa", [1] * 8, False, 1190),
        ("agqa", [8, 8], True, 1480),
        ("agqa", [5, 8, 3], True, 1520),
    ],
)
def test_training(name, counts, temporal, kernels):
    with gpu() as device:
        task, batches = answering(name, counts, temporal)
        train(task, batches, device, f"train {name}, {temporal=}, questions {counts}").check(kernels)


@pytest.mark.parametrize(("name", "counts", "kernels"), [("anetqa", [5, 3], 1070), ("agqa", [32], 1050)])
def test_validation(name, counts, kernels):
    with gpu() as device:
        validate(*answering(name, counts), device, f"validate {name}, questions {counts}").check(kernels)


# A prediction is read by whoever writes it down: once per batch.
@pytest.mark.parametrize(
    ("name", "counts", "at_once", "kernels"),
    [("anetqa", [10], 16, 1030), ("agqa", [370], 32, 1380), ("agqa", [90, 120, 100], 32, 1410)],
)
def test_inference_in_chunks(name, counts, at_once, kernels):
    with gpu() as device:
        task, (batch, *_) = answering(name, counts)
        task.questions_at_once = at_once
        step = predict(task, batch, device, f"predict {name}, questions {counts}, {at_once} at once")
    step.check(kernels, reads=1)


def test_encoding_the_vocabulary():
    with gpu() as device:
        task = place(answering("anetqa", [1])[0], device).eval()
        with as_in_a_run(), device.step("encode 1,654 answers") as step:
            task.on_predict_start()
    step.check(330)


def test_multiple_choice():
    """Batches bring their choices: a step reads nothing, a prediction once."""
    with gpu() as device:
        open_ended, batches = answering("anetqa", [3, 1, 2, 2])
        task = MultipleChoice(open_ended.model, OptimizerSettings())
        texts = {"choice_texts": [list("abcde")] * 8, "answer_texts": ["b"] * 8, "labels": torch.ones(8, dtype=int)}
        for batch in batches:
            batch |= {name: getattr(open_ended, name)[:12] for name in ("answer_ids", "answer_mask", "answer_lengths")}
            batch |= {"choices": torch.arange(40).view(8, 5) % 12, **texts}
        train(task, batches, device, "train multiple choice").check(1550)
        predict(task, batches[0], device, "predict multiple choice").check(1180, reads=1)


def test_temporal_referring():
    def referring():
        model = ReferringDeST(dataclasses.replace(SIZES, max_clips=24))
        task = TemporalReferring(model, OptimizerSettings(warmup_steps=0), freeze=("ans_encoder.lm.embeddings",))
        return task, [make_referring_batch(16, seed, num_clips=8, width=16) for seed in range(3)]

    with gpu() as device:
        train(*referring(), device, "train trm, 16 questions").check(1080)
        validate(*referring(), device, "validate trm, 16 questions").check(740)
        task, (batch, *_) = referring()
        predict(task, batch, device, "predict trm, 16 questions").check(700, reads=1)
