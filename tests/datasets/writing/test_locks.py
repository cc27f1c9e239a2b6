"""One writer at a time, whatever becomes of it."""

import errno
import fcntl
import os
import signal
import socket

import pytest

from datasets.errors import InputError
from datasets.writing.locks import sole_writer
from tests.kit.other_process import writer_elsewhere


def test_the_second_is_refused(tmp_path):
    path = tmp_path / ".lock"
    with writer_elsewhere(path) as process:
        said = (
            rf"the output is being written by process {process.pid} on {socket.gethostname()}; wait for it or stop it"
        )
        for share in (None, 0):
            with pytest.raises(InputError, match=said), sole_writer(path, "the output", share):
                pass
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
            with pytest.raises(InputError, match="is being written"), sole_writer(path, "it", share):
                pass


def test_a_kill_leaves_nothing_that_blocks(tmp_path):
    path = tmp_path / ".lock"
    with writer_elsewhere(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert path.exists()
    with sole_writer(path, "it") as alone:
        assert alone
    assert not path.exists()


@pytest.mark.parametrize("code", (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP))
def test_a_file_system_without_locks(tmp_path, monkeypatch, code):
    def no_locks(*args):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "lockf", no_locks)
    with sole_writer(tmp_path / ".lock", "it") as alone:
        assert not alone
    assert not (tmp_path / ".lock").exists()


def test_a_folder_that_cannot_be_written(tmp_path):
    said = rf"cannot write {tmp_path}/none/\.lock: No such file or directory"
    with pytest.raises(InputError, match=said), sole_writer(tmp_path / "none" / ".lock", "it"):
        pass
