"""Steps that are left out in float16, whose scaler finds bad gradients itself; how often checkpoints are written."""

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import MixedPrecision, Precision

import run  # noqa: F401  (brings the commands)
from config import run_command_line
from modules.objectives.open_ended_qa import OpenEndedQA
from modules.training import checkpointing
from tests.kit.small_world import make_small_world, settings


@pytest.fixture
def world(tmp_path):
    return make_small_world(tmp_path / "world")


@pytest.fixture
def scaler(monkeypatch) -> torch.amp.GradScaler:
    """Runs train on the CPU as they do on a GPU with precision=16."""
    trainer, scaler = pl.Trainer, torch.amp.GradScaler("cpu")

    def make_trainer(plugins, **options):
        others = [plugin for plugin in plugins if not isinstance(plugin, Precision)]
        return trainer(plugins=[*others, MixedPrecision("16-mixed", "cpu", scaler)], **options)

    monkeypatch.setattr(pl, "Trainer", make_trainer)
    return scaler


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("gradient", ["not finite", "finite"])
def test_bad_loss_in_float16(world, scaler, monkeypatch, capsys, optimizer, gradient):
    original, before, sizes = OpenEndedQA.training_step, [], []

    def step(module, batch, batch_idx):
        before.append({name: weight.clone() for name, weight in module.model.state_dict().items()})
        sizes.append(scaler.get_scale())
        loss = original(module, batch, batch_idx)
        if batch_idx not in (1, 4):  # of the first step the second half, of the third step the first
            return loss
        return loss * float("nan") if gradient == "not finite" else loss + float("inf")

    monkeypatch.setattr(OpenEndedQA, "training_step", step)
    words = settings(world, "max_epoch=1", "skip_bad_steps=2", "warmup_steps=0", f"optim_type={optimizer}")
    assert run_command_line(words) == 0
    said = capsys.readouterr().out
    assert "step 1 is left out: its loss is not finite" in said
    assert "step 3 is left out: its loss is not finite" in said
    name = "frame_head.0.weight"
    assert torch.equal(before[2][name], before[0][name])
    assert not torch.equal(before[4][name], before[2][name])
    (last,) = world.rglob("last.ckpt")
    weights = torch.load(last, weights_only=True)["state_dict"]
    assert all(torch.equal(weights[key], weight) for key, weight in before[4].items())
    assert sizes[0] / 4 <= scaler.get_scale() <= sizes[0]


@pytest.mark.parametrize(("seconds", "expected"), [(300, 3), (0, 4)])
def test_one_checkpoint_a_validation_unless_it_was_long(world, monkeypatch, seconds, expected):
    written = []
    save = checkpointing.AtomicCheckpointIO.save_checkpoint
    monkeypatch.setattr(checkpointing, "_LONG_VALIDATION", seconds)
    monkeypatch.setattr(
        checkpointing.AtomicCheckpointIO,
        "save_checkpoint",
        lambda self, checkpoint, *more, **options: (
            written.append(checkpoint["global_step"]),
            save(self, checkpoint, *more, **options),
        ),
    )
    assert run_command_line(settings(world, "val_check_interval=1.0", "checkpoint_steps=1000")) == 0  # two epochs
    assert len(written) == expected
    assert written[-1] == 6
