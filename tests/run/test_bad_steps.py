"""Losses and gradients that are no numbers: what a run does about them."""

import math
import re

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import MixedPrecision, Precision

from modules.objectives.open_ended_qa import OpenEndedQA
from tests.kit.runs import assert_equal, change_steps, load, run_folder, weights
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
    bad = lambda module, step, _: step() if module.global_step < 4 else BAD[what](step(), module)  # noqa: E731
    change_steps(monkeypatch, OpenEndedQA, bad)
    error = said(settings(world, f"exp_name=nan_{what}", "checkpoint_steps=1"), 2)
    last = run_folder(world, f"nan_{what}") / "checkpoints/last.ckpt"
    assert re.search(rf"{message} step 5.*the last good checkpoint is {re.escape(str(last))}", error)
    assert load(last)["global_step"] == 4 and all(tensor.isfinite().all() for tensor in weights(last).values())


def in_float16(monkeypatch) -> torch.amp.GradScaler:
    """Makes runs train on the CPU as they do on a GPU with precision=16."""
    trainer, scaler = pl.Trainer, torch.amp.GradScaler("cpu")

    def make_trainer(plugins, **options):
        others = [plugin for plugin in plugins if not isinstance(plugin, Precision)]
        return trainer(plugins=[*others, MixedPrecision("16-mixed", "cpu", scaler)], **options)

    monkeypatch.setattr(pl, "Trainer", make_trainer)
    return scaler


@pytest.mark.parametrize(
    ("what", "precision", "optimizer"),
    [("loss", 32, "adamw"), ("gradient", 32, "sgd"), ("loss", 16, "adam"), ("loss alone", 16, "adamw")],
)
def test_bad_steps_are_left_out_and_counted(world, monkeypatch, said, what, precision, optimizer):
    scaler = in_float16(monkeypatch) if precision == 16 else None
    before, scale = [], scaler and scaler.get_scale()

    def step(module, step, batch):
        before.append({name: weight.clone() for name, weight in module.model.state_dict().items()})
        bad = (len(before) - 1) % 6 in (1, 4)  # of the first step the second half, of the third step the first
        return BAD[what](step(), module) if bad else step()

    change_steps(monkeypatch, OpenEndedQA, step)
    name = f"{what}_{precision}".replace(" ", "_")
    words = settings(world, f"exp_name={name}", "max_epoch=1", "warmup_steps=0", f"optim_type={optimizer}")
    output = said([*words, "skip_bad_steps=2"])
    bad, named = what.split()[0], "" if what == "gradient" else r" \(questions train\d_\d, .*\)"
    for count, number in enumerate((1, 3), 1):
        assert re.search(rf"step {number} is left out: its {bad} is not finite{named}; {count} of at most 2", output)
    assert_equal(before[2], before[0])
    assert not torch.equal(before[4]["frame_head.0.weight"], before[2]["frame_head.0.weight"])
    assert_equal(weights(run_folder(world, name) / "checkpoints/last.ckpt"), before[4])
    assert scaler is None or scale / 4 <= scaler.get_scale() <= scale
    error = said([*words, "skip_bad_steps=1"], 2)
    assert re.search(rf"{bad} is not finite at step 3{named}, after 1 that had been left out", error)


def test_number_of_bad_steps_is_that_of_the_whole_run(world, monkeypatch, said):
    spoil = lambda module, step, _: step() * (math.nan if module.global_step in (0, 4) else 1)  # noqa: E731
    change_steps(monkeypatch, OpenEndedQA, spoil)
    words = settings(world, "exp_name=skip_resumed", "checkpoint_steps=1", "resume_from=auto")
    for _ in range(2):
        assert "is not finite at step 5" in said([*words, "skip_bad_steps=1"], 2)
    assert "step 5 is left out" in said([*words, "skip_bad_steps=2"])
