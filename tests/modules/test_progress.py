import fcntl
import os
import struct
import sys
import termios

import pytest

from modules.progress import ProgressBar, ProgressLines, progress_callback


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
