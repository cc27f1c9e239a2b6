"""Steps of several batches, which encode the answers once, learn what encoding them for each batch would teach."""

import h5py
import pytest
import torch

from modules.objectives.step_features import StepFeatures
from modules.training.precision import precision_plugin
from tests.kit import captioned_world, small_world
from tests.kit.processes import ended_well, start
from tests.kit.runs import assert_close_runs, load, run_folder, state_of_checkpoints, train
from tests.modules.objectives.test_open_ended_qa import make_task

# Adam would blow up the rounding of gradients that are zero.
PLAIN = ("drop_rate=0.0", "optim_type=sgd", "learning_rate=0.01")
KINDS = {  # with validations amid a step
    "question answering": ["val_check_interval=0.3", "grad_checkpointing=True"],
    "frozen": ["val_check_interval=0.3", "freeze=['visual_encoder','ans_encoder']"],
    "bad steps": ["skip_bad_steps=9"],
    "pre-training": ["max_steps=3", "val_check_interval=3"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_on_two_processes(tmp_path, monkeypatch, kind):
    """Gradients are exchanged once per step, and nothing over the group of the devices but their tensors.

    Bad steps are of a video whose features overflow on one rank.
    """
    if kind == "pre-training":
        own, world = captioned_world.settings, captioned_world.make_captioned_world(tmp_path)
    else:  # with two questions about a video, a batch would draw the same frames
        own, world = small_world.settings, small_world.make_small_world(tmp_path, num_videos=18, questions_each=1)
    more = [*PLAIN, *KINDS[kind]]
    if kind == "bad steps":
        with h5py.File(world / "data/anetqa.h5", "r+") as features:
            features["train3"][:] = 3e38
    like_nccl = ("-m", "tests.kit.like_nccl", *own(world, *more, "exp_name=two", "num_gpus=2", "per_gpu_batchsize=2"))
    two = start(*like_nccl)
    monkeypatch.setattr(StepFeatures, "of_batch", lambda own, begins_step, ends_step: own._encode())
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
    assert said.count("gradients are exchanged") == 2 * steps[0]  # by each rank
    if kind != "bad steps":
        assert "predictions: " in ended_well(start(*like_nccl, "test_only=True", f"load_path={paths[1]}"))


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
