"""A bar on a terminal, lines elsewhere."""

import fcntl
import os
import struct
import sys
import termios

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
