"""Losses and weights that are no numbers, checkpoints that do not fit the disk: what a run does about them."""

import math
import re

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import MixedPrecision, Precision

from modules.objectives.open_ended_qa import OpenEndedQA
from modules.training import checkpointing
from tests.kit.runs import assert_equal, change_steps, load, run_folder
from tests.kit.small_world import settings


def without_gradient(module) -> torch.Tensor:
    """0, whose gradient is not a number."""
    return (0 * next(weight for weight in module.parameters() if weight.requires_grad)).sum().sqrt()


BAD = {
    "loss": lambda loss, _: loss * math.nan,
    "gradient": lambda loss, module: loss + without_gradient(module),
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
@pytest.mark.parametrize(("what", "precision"), [("loss", 32), ("gradient", 32), ("loss", 16), ("loss alone", 16)])
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
    spoil = lambda module, step, _: step() * (math.nan if module.global_step in (0, 4) else 1)  # noqa: E731
    change_steps(monkeypatch, OpenEndedQA, spoil)
    words = settings(world, "exp_name=skip_resumed", "checkpoint_steps=1")
    for more in ([], ["resume_from=last"]):
        assert "is not finite at step 5" in said([*words, "skip_bad_steps=1", *more], 2)
    assert "step 5 is left out" in said([*words, "resume_from=last", "skip_bad_steps=2"])


def test_disk_full_leaves_what_was_whole(world, monkeypatch, said):
    real, calls = checkpointing.torch.save, []

    def save(checkpoint, file):
        calls.append(1)
        real(checkpoint, open("/dev/full", "wb", buffering=0) if len(calls) == 3 else file)  # noqa: PTH123, SIM115

    monkeypatch.setattr(checkpointing.torch, "save", save)
    error = said(settings(world, "exp_name=full", "checkpoint_steps=1"), 2)
    folder = run_folder(world, "full") / "checkpoints"
    assert f"cannot write {folder / 'next.ckpt'}: No space left on device" in error
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
