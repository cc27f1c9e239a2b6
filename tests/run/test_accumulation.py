"""Steps of several batches, which encode the answers once, learn what encoding them for each batch would teach."""

import math

import h5py
import pytest
import torch

from modules.objectives.open_ended_qa import OpenEndedQA
from modules.objectives.step_features import StepFeatures
from modules.training.precision import precision_plugin
from tests.kit import captioned_world
from tests.kit.exchanges import EXCHANGE
from tests.kit.processes import ended_well, start
from tests.kit.runs import assert_close_runs, change_steps, load, run_folder, state_of_checkpoints, train
from tests.kit.small_world import make_small_world, settings
from tests.modules.objectives.test_open_ended_qa import make_task

# Adam would blow up the rounding of gradients that are zero.
PLAIN = ("drop_rate=0.0", "optim_type=sgd", "learning_rate=0.01")


def encode_for_each_batch(patch):
    patch.setattr(StepFeatures, "of_batch", lambda own, begins_step, ends_step: own._encode())


@pytest.mark.parametrize(
    "more",
    [
        "val_check_interval=0.5",
        "grad_checkpointing=True",
        "freeze=['visual_encoder','ans_encoder']",
        "skip_bad_steps=2",
    ],
)
def test_a_run_on_one_process(tmp_path, monkeypatch, more):
    world = make_small_world(tmp_path, questions_each=3)  # 5 batches an epoch, thus 3 steps
    if more == "skip_bad_steps=2":  # the first half of the second step has no loss, and the step is left out
        spoil = lambda module, step, _: step() * (math.nan if module.global_step == 1 else 1)  # noqa: E731
        change_steps(monkeypatch, OpenEndedQA, spoil)
    once = train(world, "once", *PLAIN, more)
    encode_for_each_batch(monkeypatch)
    each = train(world, "each", *PLAIN, more)
    assert_close_runs(once / "checkpoints/last.ckpt", each / "checkpoints/last.ckpt")


@pytest.mark.parametrize("kind", ["question answering", "bad steps", "pre-training"])
def test_a_run_on_two_processes(tmp_path, monkeypatch, kind):
    """Gradients are exchanged once per step; bad steps are of a video whose features overflow on one rank."""
    own, more = settings, [*PLAIN, *(["skip_bad_steps=9"] if kind == "bad steps" else [])]
    if kind == "pre-training":
        own, world = captioned_world.settings, captioned_world.make_captioned_world(tmp_path)
        more += ["max_steps=3", "val_check_interval=3"]
    else:
        world = make_small_world(
            tmp_path, num_videos=18, questions_each=1
        )  # of two, a batch would draw the same frames
    if kind == "bad steps":
        with h5py.File(world / "data/anetqa.h5", "r+") as features:
            features["train3"][:] = 3e38
    two = start("-m", "tests.kit.exchanges", *own(world, *more, "exp_name=two", "num_gpus=2", "per_gpu_batchsize=2"))
    encode_for_each_batch(monkeypatch)
    train(world, "one", *more, settings=own)
    said = ended_well(two)
    paths = [run_folder(world, name) / "checkpoints/last.ckpt" for name in ("one", "two")]
    assert_close_runs(*paths)
    steps = [load(path)["global_step"] for path in paths]
    state, other = (state_of_checkpoints(load(path)) for path in paths)
    assert steps[0] == steps[1] and "sync_dist" not in said
    assert state["best_score"] == pytest.approx(other["best_score"])
    assert (state["skipped"] > 0) == (kind == "bad steps")
    assert state["skipped"] == other["skipped"] == said.count("is left out") < steps[0]
    assert said.count(EXCHANGE) == 2 * steps[0]  # by each rank


@pytest.mark.parametrize(("precision", "tolerance"), [(32, 1e-5), ("bf16", 0.02), (16, 0.01)])
def test_gradients_of_a_step(precision, tolerance):
    """Of three batches, in the precisions of a run; with a scaler they are its multiples."""
    task, batch = make_task()
    plugin, scale = precision_plugin(precision, "cpu"), 1024.0 if precision == 16 else 1.0

    def gradients(places: list[tuple[bool, bool]]) -> torch.Tensor:
        task.zero_grad()
        for shift, (task.begins_step, task.ends_step) in enumerate(places):
            with plugin.forward_context():
                loss = task.training_step(batch | {"labels": batch["labels"].roll(shift)}, 0)
            (scale * loss / 3).backward()
        return torch.cat([own.grad.ravel() for own in task.parameters() if own.grad is not None])

    encoded = []
    task.model.ans_encoder.pooler.register_forward_hook(lambda *_: encoded.append(1))
    each, calls = gradients([(True, True)] * 3), len(encoded)
    once = gradients([(True, False), (False, False), (False, True)])
    assert 3 * (len(encoded) - calls) == calls
    assert (once - each).norm() / each.norm() < tolerance
