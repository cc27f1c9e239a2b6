import socket

import pytest

from datasets.errors import InputError
from datasets.writing.locks import sole_writer
from tests.kit.other_process import writer_elsewhere


def refused(path, share, said):
    with pytest.raises(InputError, match=said), sole_writer(path, "the output", share):
        pass


@pytest.mark.parametrize("kill", [False, True])
def test_the_second_is_refused_until_the_first_ends(tmp_path, kill):
    path = tmp_path / ".lock"
    with writer_elsewhere(path) as process:
        for share in (None, 0):
            refused(path, share, f"the output .* by process {process.pid} on {socket.gethostname()}")
        if kill:
            process.kill()
            process.wait()
    assert path.exists() == kill
    with sole_writer(path, "the output"):
        pass
    assert not path.exists()


def test_shares_are_side_by_side(tmp_path):
    with writer_elsewhere(tmp_path / ".lock", 0):
        with sole_writer(tmp_path / ".lock", "it", 1):
            pass
        for share in (0, None):
            refused(tmp_path / ".lock", share, "is being written")
