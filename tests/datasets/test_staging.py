"""Staged files appear together or not at all."""

import pytest

from datasets.errors import InputError
from datasets.staging import staged


def write_two(folder):
    (folder / "a").write_text("new a")
    (folder / "b").write_text("new b")


def test_files_appear_and_replace_older_ones(tmp_path):
    out = tmp_path / "deep" / "out"
    with staged(out) as folder:
        write_two(folder)
        assert [path for path in out.iterdir() if path != folder] == []
    with staged(out) as folder:
        (folder / "a").write_text("newer a")
    assert {path.name: path.read_text() for path in out.iterdir()} == {"a": "newer a", "b": "new b"}


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), staged(tmp_path / "deep" / "out") as folder:
        write_two(folder)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_error_keeps_what_was_there(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError), staged(tmp_path) as folder:
        write_two(folder)
        raise RuntimeError
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old"}


def test_a_folder_in_the_way_stops_all_files(tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*b: it is a folder"), staged(tmp_path) as folder:
        write_two(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write to .*file: Not a directory"), staged(tmp_path / "file"):
        pass


def test_a_full_disk_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"cannot write to .*: No space left on device"), staged(tmp_path / "out"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []
