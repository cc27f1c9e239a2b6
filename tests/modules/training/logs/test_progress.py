import fcntl
import os
import struct
import sys
import termios
from types import SimpleNamespace

import pytest

import modules.training.logs.progress
from modules.training.logs.progress import ProgressBar, ProgressLines, progress_callback


@pytest.mark.parametrize(("columns", "kind"), [(100, ProgressBar), (0, ProgressLines)])
def test_a_bar_where_there_is_room_for_one(monkeypatch, columns, kind):
    _, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with os.fdopen(terminal, "w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        assert type(progress_callback()) is kind


def test_lines_for_a_file(monkeypatch, tmp_path):
    with (tmp_path / "log").open("w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        assert type(progress_callback()) is ProgressLines


def test_lines_for_nobody(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert type(progress_callback()) is ProgressLines


class Reading:
    """A number of the device: counts how often it is read."""

    times = 0

    def __float__(self) -> float:
        self.times += 1
        return 0.5


def test_the_bar_looks_at_the_loss_every_few_seconds(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(modules.training.logs.progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    metrics = {name: Reading() for name in ("train/loss", "train/accuracy", "train/tau", "val/loss")}
    trainer = SimpleNamespace(callback_metrics=metrics, is_last_batch=False)
    bar = ProgressBar(seconds=5.0)
    for seconds in (0.0, 1.0, 3.9):  # after the first batch, and for five seconds not again
        now[0] += seconds
        assert bar.get_metrics(trainer, None) == {"train/loss": 0.5, "train/accuracy": 0.5}
    assert [metric.times for metric in metrics.values()] == [1, 1, 0, 0]
    now[0] += 0.1
    bar.get_metrics(trainer, None)
    assert metrics["train/loss"].times == 2
    trainer.is_last_batch = True  # what stays on the screen
    bar.get_metrics(trainer, None)
    assert metrics["train/loss"].times == 3
