"""What pre-training does on a device, step by step."""

import dataclasses

import modules  # noqa: F401
from modules.objectives.settings import OptimizerSettings
from modules.objectives.temporal_referring import ReferringDeST, TemporalReferring
from tests.modules.objectives.referring_batch import make_referring_batch

from .device import gpu
from .training import SIZES, as_in_a_run, moved, place, train, validate


def task_and_batches():
    sizes = dataclasses.replace(SIZES, max_clips=24)
    optimizer = OptimizerSettings(warmup_steps=0)
    task = TemporalReferring(ReferringDeST(sizes), optimizer, freeze=("ans_encoder.lm.embeddings",))
    return task, [make_referring_batch(16, seed, num_clips=8, width=16) for seed in range(3)]


def test_training():
    with gpu() as device:
        train(*task_and_batches(), device, "train trm, 16 questions").check(1080)


def test_validation():
    with gpu() as device:
        validate(*task_and_batches(), device, "validate trm, 16 questions").check(740)


def test_prediction():
    with gpu() as device:
        task, (batch, *_) = task_and_batches()
        task = place(task, device).eval()
        with as_in_a_run(), device.step("predict trm, 16 questions") as step:
            task.predict_step(moved(batch, device), 0)
    step.check(700, reads=1)
