from pathlib import Path

import pytest

from datasets.errors import InputError
from datasets.writing.staging import staged


def write_two(folder):
    for name in "ab":
        (folder / name).write_text(f"new {name}")


def contents(folder: Path) -> dict[str, str | None]:
    return {path.name: None if path.is_dir() else path.read_text() for path in folder.iterdir()}


def test_files_appear_and_replace_older_ones(tmp_path):
    out = tmp_path / "deep" / "out"
    with staged(out) as folder:
        write_two(folder)
        assert all(path.name.startswith(".") for path in out.iterdir())  # hidden until all are complete
    with staged(out) as folder:
        (folder / "a").write_text("newer a")
    assert contents(out) == {"a": "newer a", "b": "new b"}


def test_an_error_leaves_what_was_there(tmp_path):
    (tmp_path / "a").write_text("old")
    for out in (tmp_path, tmp_path / "deep" / "out"):
        with pytest.raises(InputError, match=f"{out}: No space left"), staged(out) as folder:
            write_two(folder)
            raise OSError(28, "No space left on device")
    assert contents(tmp_path) == {"a": "old"}
