"""A bar on a terminal, lines elsewhere; neither waits for the device in every batch."""

import fcntl
import os
import struct
import sys
import termios
from types import SimpleNamespace
from unittest.mock import MagicMock

from modules.training.logs import progress
from modules.training.logs.progress import ProgressBar, ProgressLines, progress_callback


def test_a_bar_where_there_is_room_for_one(monkeypatch):
    for columns, kind in ((100, ProgressBar), (0, ProgressLines)):
        _, terminal = os.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        with os.fdopen(terminal, "w") as file:
            monkeypatch.setattr(sys, "stdout", file)
            assert type(progress_callback()) is kind
    monkeypatch.setattr(sys, "stdout", None)
    assert type(progress_callback()) is ProgressLines


def test_the_bar_looks_at_the_loss_every_few_seconds(monkeypatch):
    monkeypatch.setattr(progress, "time", clock := MagicMock())
    metrics = {name: MagicMock() for name in ("train/loss", "train/accuracy", "train/tau", "val/loss")}
    trainer = SimpleNamespace(callback_metrics=metrics, is_last_batch=False)
    bar = ProgressBar(seconds=5.0)
    for now, times in ((100, 1), (101, 1), (104.9, 1), (105, 2), (106, 2)):
        clock.monotonic.return_value = now
        assert bar.get_metrics(trainer, None) == {"train/loss": 1.0, "train/accuracy": 1.0}
        assert [metric.__float__.call_count for metric in metrics.values()] == [times, times, 0, 0]
    trainer.is_last_batch = True  # what stays on the screen
    bar.get_metrics(trainer, None)
    assert metrics["train/loss"].__float__.call_count == 3
