"""What question answering does on a device, step by step."""

import pytest

from benchmarks.workload import SHAPES, make_batch, make_task

from .device import gpu
from .training import SIZES, as_in_a_run, moved, place, train, validate


def task_and_batches(name: str, counts: list[int], temporal: bool = True):
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
        task, batches = task_and_batches(name, counts, temporal)
        stream = "" if temporal else "_mean"
        train(task, batches, device, f"train {name}{stream}, questions {counts}").check(kernels)


@pytest.mark.parametrize(("name", "counts", "kernels"), [("anetqa", [5, 3], 1070), ("agqa", [32], 1050)])
def test_validation(name, counts, kernels):
    with gpu() as device:
        task, batches = task_and_batches(name, counts)
        validate(task, batches, device, f"validate {name}, questions {counts}").check(kernels)


# A prediction is read by whoever writes it down: once per batch.
@pytest.mark.parametrize(
    ("name", "counts", "at_once", "kernels"),
    [("anetqa", [10], 16, 1030), ("agqa", [370], 32, 1380), ("agqa", [90, 120, 100], 32, 1410)],
)
def test_inference_in_chunks(name, counts, at_once, kernels):
    with gpu() as device:
        task, (batch, *_) = task_and_batches(name, counts)
        task = place(task, device).eval()
        task.questions_at_once = at_once
        with as_in_a_run():
            task.on_predict_start()
            with device.step(f"predict {name}, questions {counts}, {at_once} at once") as step:
                task.predict_step(moved(batch, device), 0)
    step.check(kernels, reads=1)


def test_encoding_the_vocabulary():
    with gpu() as device:
        task = place(task_and_batches("anetqa", [1])[0], device).eval()
        with as_in_a_run(), device.step("encode 1,654 answers") as step:
            task.on_predict_start()
    step.check(330)
