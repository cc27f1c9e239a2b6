import signal
import socket

import pytest

from datasets.errors import InputError
from datasets.writing.locks import sole_writer
from tests.kit.other_process import writer_elsewhere


def refused(path, share, said):
    with pytest.raises(InputError, match=said), sole_writer(path, "the output", share):
        pass


def test_the_second_is_refused_until_the_first_ends(tmp_path):
    path = tmp_path / ".lock"
    for kill in (False, True):
        with writer_elsewhere(path) as process:
            for share in (None, 0):
                refused(path, share, f"the output .* by process {process.pid} on {socket.gethostname()}")
            if kill:
                process.send_signal(signal.SIGKILL)
                process.wait()
        assert path.exists() == kill
        with sole_writer(path, "the output") as alone:
            assert alone
        assert not path.exists()


def test_shares_are_side_by_side(tmp_path):
    path = tmp_path / ".lock"
    with writer_elsewhere(path, 0):
        with sole_writer(path, "it", 1) as alone:
            assert alone
        assert path.exists()  # the other one still has it
        for share in (0, None):
            refused(path, share, "is being written")
