"""Losses and weights that are no numbers, disks that are full: what a run does about them."""

import errno
import os
import re

import h5py
import pytest
import torch

from config import run_command_line
from modules.objectives.open_ended_qa import OpenEndedQA
from modules.training import checkpointing
from tests.kit.processes import start
from tests.kit.runs import (
    assert_close_runs,
    assert_equal,
    change_steps,
    load,
    run_folder,
    state_of_checkpoints,
    train,
    weights,
)
from tests.kit.small_world import make_small_world, settings


def finite_without_gradient(module) -> torch.Tensor:
    """0, whose gradient is not a number."""
    weight = next(weight for weight in module.parameters() if weight.requires_grad)
    return (0 * weight).sum().sqrt()


@pytest.mark.parametrize("what", ["loss", "weights"])
def test_not_finite(world, monkeypatch, capsys, what):
    """The run ends; the checkpoint before is whole and named."""

    def step(module, step, batch):
        loss = step()
        if module.global_step < 4:
            return loss
        return loss * float("nan") if what == "loss" else loss + finite_without_gradient(module)

    change_steps(monkeypatch, OpenEndedQA, step)
    assert run_command_line(settings(world, f"exp_name=nan_{what}", "checkpoint_steps=1")) == 2
    error = capsys.readouterr().err
    step = r"loss is not finite at step 5 \(questions train\d_\d, .*\)" if what == "loss" else "not finite after step 5"
    assert re.search(step, error)
    last = run_folder(world, f"nan_{what}") / "checkpoints/last.ckpt"
    assert f"the last good checkpoint is {last}" in error
    assert load(last)["global_step"] == 4
    assert all(tensor.isfinite().all() for tensor in weights(last).values())


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_bad_steps_are_left_out_and_counted(world, monkeypatch, capsys, what):
    before = []

    def step(module, step, batch):
        before.append({name: weight.clone() for name, weight in module.model.state_dict().items()})
        loss = step()
        if (len(before) - 1) % 6 not in (1, 4):  # of the first step the second half, of the third step the first
            return loss
        return loss * float("nan") if what == "loss" else loss + finite_without_gradient(module)

    change_steps(monkeypatch, OpenEndedQA, step)
    folder = train(world, f"skip_{what}", "max_epoch=1", "skip_bad_steps=2")
    said = capsys.readouterr().out
    named = r" \(questions train\d_\d, .*\)" if what == "loss" else ""
    for count, number in enumerate((1, 3), 1):
        assert re.search(rf"step {number} is left out: its {what} is not finite{named}; {count} of at most 2", said)
    assert len(before) == 6
    assert_equal(before[2], before[0])
    assert not torch.equal(before[4]["frame_head.0.weight"], before[2]["frame_head.0.weight"])
    assert_equal(weights(folder / "checkpoints/last.ckpt"), dict(before[4]))
    assert run_command_line(settings(world, f"exp_name=skip_{what}", "max_epoch=1", "skip_bad_steps=1")) == 2
    assert re.search(rf"{what} is not finite at step 3{named}, after 1 that had been left out", capsys.readouterr().err)


def test_number_of_bad_steps_is_that_of_the_whole_run(world, monkeypatch, capsys):
    change_steps(
        monkeypatch, OpenEndedQA, lambda module, step, _: step() * (float("nan") if module.global_step in (0, 4) else 1)
    )
    arguments = settings(world, "exp_name=skip_resumed", "skip_bad_steps=1", "checkpoint_steps=1")
    for more in ([], ["resume_from=last"]):
        assert run_command_line([*arguments, *more]) == 2
        assert "is not finite at step 5" in capsys.readouterr().err
    assert run_command_line([*arguments, "resume_from=last", "skip_bad_steps=2"]) == 0
    assert "step 5 is left out" in capsys.readouterr().out


def test_ranks_leave_out_the_same_steps(tmp_path):
    """A video whose features are so large that they overflow: the loss of one rank is not a number."""
    world = make_small_world(tmp_path, num_videos=12, questions_each=2)
    with h5py.File(world / "data/anetqa.h5", "r+") as features:
        features["train3"][:] = 3e38
    # Adam would blow up the rounding of gradients that are zero.
    more = ("skip_bad_steps=9", "drop_rate=0.0", "optim_type=sgd", "learning_rate=0.01", "max_epoch=1")
    process = start("run.py", *settings(world, *more, "exp_name=two", "num_gpus=2", "per_gpu_batchsize=2"))
    train(world, "one", *more)
    said = process.communicate()[0]
    assert process.returncode == 0, said
    paths = [run_folder(world, name) / "checkpoints/last.ckpt" for name in ("one", "two")]
    one, two = map(load, paths)
    assert [path.name for path in (world / "result/two_seed0").iterdir()] == ["version_0"]
    skipped = [state_of_checkpoints(checkpoint)["skipped"] for checkpoint in (one, two)]
    assert skipped[0] == skipped[1] == said.count("is left out") > 0
    assert skipped[0] < one["global_step"] == two["global_step"]
    assert_close_runs(*paths)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_disk_full_leaves_what_was_whole(world, monkeypatch, capsys, number):
    real, calls = checkpointing.torch.save, []

    class Full:
        def __init__(self, file):
            self._file = file

        def write(self, data):
            raise OSError(number, os.strerror(number))

        def __getattr__(self, name):
            return getattr(self._file, name)

    def save(checkpoint, file):
        calls.append(1)
        if len(calls) == 3:
            file = Full(file)
        real(checkpoint, file)

    monkeypatch.setattr(checkpointing.torch, "save", save)
    assert run_command_line(settings(world, f"exp_name=full{number}", "checkpoint_steps=1")) == 2
    folder = run_folder(world, f"full{number}") / "checkpoints"
    assert f"cannot write {folder / 'next.ckpt'}: {os.strerror(number)}" in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == ["last.ckpt", "previous.ckpt"]
    for path in folder.iterdir():
        load(path)
