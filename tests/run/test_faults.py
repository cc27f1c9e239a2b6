"""Losses and weights that are no numbers, disks that are full: what a run does about them."""

import errno
import math
import os
import re
from unittest.mock import Mock

import h5py
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import MixedPrecision, Precision

from modules.objectives.open_ended_qa import OpenEndedQA
from modules.training import checkpointing
from tests.kit.processes import ended_well, start
from tests.kit.runs import assert_close_runs, assert_equal, change_steps, load, run_folder, state_of_checkpoints, train
from tests.kit.small_world import make_small_world, settings


def finite_without_gradient(module) -> torch.Tensor:
    """0, whose gradient is not a number."""
    weight = next(weight for weight in module.parameters() if weight.requires_grad)
    return (0 * weight).sum().sqrt()


BAD = {
    "loss": lambda loss, _: loss * math.nan,
    "gradient": lambda loss, module: loss + finite_without_gradient(module),
    "loss alone": lambda loss, _: loss + math.inf,
}


@pytest.mark.parametrize(("what", "message"), [("loss", "loss is not finite at"), ("gradient", "not finite after")])
def test_the_checkpoint_before_is_whole_and_named(world, monkeypatch, said, what, message):
    def step(module, step, batch):
        return step() if module.global_step < 4 else BAD[what](step(), module)

    change_steps(monkeypatch, OpenEndedQA, step)
    error = said(settings(world, f"exp_name=nan_{what}", "checkpoint_steps=1"), 2)
    last = run_folder(world, f"nan_{what}") / "checkpoints/last.ckpt"
    assert re.search(rf"{message} step 5.*the last good checkpoint is {re.escape(str(last))}", error)
    assert load(last)["global_step"] == 4
    assert all(tensor.isfinite().all() for tensor in load(last)["state_dict"].values())


def in_float16(monkeypatch) -> torch.amp.GradScaler:
    """Makes runs train on the CPU as they do on a GPU with precision=16."""
    trainer, scaler = pl.Trainer, torch.amp.GradScaler("cpu")

    def make_trainer(plugins, **options):
        others = [plugin for plugin in plugins if not isinstance(plugin, Precision)]
        return trainer(plugins=[*others, MixedPrecision("16-mixed", "cpu", scaler)], **options)

    monkeypatch.setattr(pl, "Trainer", make_trainer)
    return scaler


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize(
    ("what", "precision"), [("loss", 32), ("gradient", 32), ("loss", 16), ("loss alone", 16)], ids=str
)
def test_bad_steps_are_left_out_and_counted(world, monkeypatch, said, what, precision, optimizer):
    scaler = in_float16(monkeypatch) if precision == 16 else None
    before, scale = [], scaler and scaler.get_scale()

    def step(module, step, batch):
        before.append({name: weight.clone() for name, weight in module.model.state_dict().items()})
        bad = (len(before) - 1) % 6 in (1, 4)  # of the first step the second half, of the third step the first
        return BAD[what](step(), module) if bad else step()

    change_steps(monkeypatch, OpenEndedQA, step)
    name = f"{what}_{precision}_{optimizer}".replace(" ", "_")
    words = settings(world, f"exp_name={name}", "max_epoch=1", "warmup_steps=0", f"optim_type={optimizer}")
    output = said([*words, "skip_bad_steps=2"])
    bad, named = what.split()[0], "" if what == "gradient" else r" \(questions train\d_\d, .*\)"
    for count, number in enumerate((1, 3), 1):
        assert re.search(rf"step {number} is left out: its {bad} is not finite{named}; {count} of at most 2", output)
    assert_equal(before[2], before[0])
    assert not torch.equal(before[4]["frame_head.0.weight"], before[2]["frame_head.0.weight"])
    assert_equal(load(run_folder(world, name) / "checkpoints/last.ckpt")["state_dict"], before[4])
    assert scaler is None or scale / 4 <= scaler.get_scale() <= scale
    error = said([*words, "skip_bad_steps=1"], 2)
    assert re.search(rf"{bad} is not finite at step 3{named}, after 1 that had been left out", error)


def test_number_of_bad_steps_is_that_of_the_whole_run(world, monkeypatch, said):
    def step(module, step, batch):
        return step() * (math.nan if module.global_step in (0, 4) else 1)

    change_steps(monkeypatch, OpenEndedQA, step)
    words = settings(world, "exp_name=skip_resumed", "checkpoint_steps=1")
    for more in ([], ["resume_from=last"]):
        assert "is not finite at step 5" in said([*words, "skip_bad_steps=1", *more], 2)
    assert "step 5 is left out" in said([*words, "resume_from=last", "skip_bad_steps=2"])


def test_ranks_leave_out_the_same_steps(tmp_path):
    """A video whose features are so large that they overflow: the loss of one rank is not a number."""
    world = make_small_world(tmp_path, num_videos=12, questions_each=2)
    with h5py.File(world / "data/anetqa.h5", "r+") as features:
        features["train3"][:] = 3e38
    # Adam would blow up the rounding of gradients that are zero.
    more = ("skip_bad_steps=9", "drop_rate=0.0", "optim_type=sgd", "learning_rate=0.01", "max_epoch=1")
    process = start("run.py", *settings(world, *more, "exp_name=two", "num_gpus=2", "per_gpu_batchsize=2"))
    train(world, "one", *more)
    output = ended_well(process)
    paths = [run_folder(world, name) / "checkpoints/last.ckpt" for name in ("one", "two")]
    skipped = [state_of_checkpoints(load(path))["skipped"] for path in paths]
    assert skipped[0] == skipped[1] == output.count("is left out") > 0
    assert skipped[0] < load(paths[0])["global_step"] == load(paths[1])["global_step"]
    assert_close_runs(*paths)


def test_disk_full_leaves_what_was_whole(world, monkeypatch, said):
    real, calls = checkpointing.torch.save, []

    def save(checkpoint, file):
        calls.append(1)
        if len(calls) == 3:
            file = Mock(wraps=file, write=Mock(side_effect=OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))))
        real(checkpoint, file)

    monkeypatch.setattr(checkpointing.torch, "save", save)
    error = said(settings(world, "exp_name=full", "checkpoint_steps=1"), 2)
    folder = run_folder(world, "full") / "checkpoints"
    assert f"cannot write {folder / 'next.ckpt'}: {os.strerror(errno.EDQUOT)}" in error
    assert {path.name: load(path)["global_step"] for path in folder.iterdir()} == {"last.ckpt": 2, "previous.ckpt": 1}


@pytest.mark.parametrize(("seconds", "steps"), [(300, [3, 6, 6]), (0, [3, 3, 6, 6])])
def test_one_checkpoint_a_validation_unless_it_was_long(world, monkeypatch, said, seconds, steps):
    written, save = [], checkpointing.AtomicCheckpointIO.save_checkpoint

    def note(self, checkpoint, *more, **options):
        written.append(checkpoint["global_step"])
        save(self, checkpoint, *more, **options)

    monkeypatch.setattr(checkpointing, "_LONG_VALIDATION", seconds)
    monkeypatch.setattr(checkpointing.AtomicCheckpointIO, "save_checkpoint", note)
    said(settings(world, "exp_name=validated", "val_check_interval=1.0", "checkpoint_steps=1000"))  # two epochs
    assert written == steps
