"""A run that Weights & Biases follows without its server, and that is resumed: what lies in W&B's own files."""

import pytest

from modules.training.failures import explain
from tests.kit.paths import ROOT
from tests.kit.processes import run_python
from tests.kit.runs import run_folder
from tests.kit.small_world import make_small_world, settings

pytest.importorskip("wandb", reason="W&B is not installed (requirements-wandb.txt)")


def test_a_run_and_its_continuation(tmp_path):
    world = make_small_world(tmp_path)
    for more in (["max_epoch=4"], ["max_epoch=8", "resume_from=last"]):
        words = settings(world, "exp_name=log", "logger=wandb", "learning_rate=1e-3", *more)
        environment = {"WANDB_MODE": "offline", "WANDB_API_KEY": ""}
        done = run_python(ROOT / "run.py", *words, cwd=world, **environment)
        assert done.returncode == 0, done.stderr
    first, second = sorted(run_folder(world, "log").glob("wandb/*run-*/run-*.wandb"))
    assert first.name == second.name  # of both it is one run
    for path in (first, second):
        content, pictures = path.read_bytes(), list(path.parent.rglob("*.png"))
        assert all(name in content for name in (b"train/loss", b"val/accuracy", b"lr/head", b"max_epoch", b"0.001"))
        assert len(pictures) == 16  # four validations of four examples


def test_without_a_key():
    from wandb.errors import UsageError

    error = explain(UsageError("No API key configured. Use `wandb login` to log in."), {})
    assert str(error) == (
        "W&B: No API key configured. Use `wandb login` to log in; or write without a server: WANDB_MODE=offline"
    )
