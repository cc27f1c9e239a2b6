"""Runs of training: made, cut short, and compared."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_flatten

import run  # noqa: F401  (brings the commands)
from config import run_command_line

from . import small_world


def train(world: Path, name: str, *more: str, settings: Callable[..., list[str]] = small_world.settings) -> Path:
    """Trains to the end on a small world; returns the run's folder."""
    assert run_command_line(settings(world, f"exp_name={name}", *more)) == 0
    return run_folder(world, name)


def say(capsys: pytest.CaptureFixture[str], words: list[str], code: int = 0) -> str:
    """Runs a command line; returns what it says: the error, of one line, where it must end with code 2."""
    capsys.readouterr()
    assert run_command_line(words) == code
    output, error = capsys.readouterr()
    assert code == 0 or (error.startswith("error: ") and error.count("\n") == 1), error
    return error if code else output


def run_folder(world: Path, name: str) -> Path:
    """That of the first run of this name."""
    return world / "result" / f"{name}_seed0" / "version_0"


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load(path)["state_dict"]


def rows(folder: Path) -> list[dict[str, str]]:
    """The CSV log of a run."""
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def state_of_checkpoints(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """What the callback that writes checkpoints keeps in them."""
    return next(iter(checkpoint["callbacks"].values()))


class Killed(BaseException):
    """Not an Exception, so that nothing on the way treats it as an error of the run."""


def killed_run(arguments: list[str], monkeypatch: pytest.MonkeyPatch, objective: type, batches: int, hook: str) -> None:
    """A run that ends as if killed, with no word to anyone, after so many calls of a step (`hook`) of the objective."""
    left = iter(range(batches))

    def cut(module: Any, step: Callable[[], Any], batch: Any) -> Any:
        if next(left, None) is None:
            raise Killed
        return step()

    with monkeypatch.context() as patch, pytest.raises(Killed):
        change_steps(patch, objective, cut, hook)
        run_command_line(arguments)


def change_steps(patch: pytest.MonkeyPatch, objective: type, change: Callable, hook: str = "training_step") -> None:
    """Puts ``change(module, step, batch)`` in the place of a step, which ``step()`` calls."""
    original = getattr(objective, hook)
    changed = lambda module, batch, batch_idx: change(module, lambda: original(module, batch, batch_idx), batch)  # noqa: E731
    patch.setattr(objective, hook, changed)


def assert_same_run(one: Path, other: Path) -> None:
    """Weights, optimizer and schedule equal to the last bit."""
    parts = ("global_step", "state_dict", "optimizer_states", "lr_schedulers")
    first, second = ([own[part] for part in parts] + [state_of_checkpoints(own)] for own in map(load, (one, other)))
    assert_equal(first, second)


def assert_close_runs(one: Path, other: Path, rtol: float = 1e-5) -> None:
    """Weights equal up to the order of sums."""
    torch.testing.assert_close(weights(other), weights(one), rtol=rtol, atol=1e-6)


def assert_equal(one: Any, other: Any) -> None:
    (values, form), (others, other_form) = tree_flatten(one), tree_flatten(other)
    assert form == other_form
    for value, own in zip(values, others, strict=True):
        assert torch.equal(value, own) if isinstance(value, torch.Tensor) else value == own
