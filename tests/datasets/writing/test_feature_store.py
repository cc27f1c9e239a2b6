"""Features on disk: whole or not there, whatever happens in between."""

import json
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

from datasets.errors import InputError
from datasets.names import hashed_name
from datasets.writing.feature_store import FeatureStore
from tests.kit.paths import ROOT

SETTINGS = {"arch": "toy", "width": 3, "checkpoint_sha256": None}


def features(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((4, 3)).astype(np.float32)


def opened(path) -> FeatureStore:
    store = FeatureStore(path, SETTINGS)
    store.start()
    return store


@pytest.fixture
def store(tmp_path):
    return opened(tmp_path / "a.h5")


def test_parts_become_one_file_which_later_videos_join(store):
    for seed, key in enumerate(("videos/b", "videos/a", "videos/ünï 視頻")):
        assert key not in store
        store.write(key, features(seed))
        assert key in store
    assert store.merge(["videos/a", "videos/b", "videos/ünï 視頻", "videos/failed"]) == 3
    assert [path.name for path in store.path.parent.iterdir()] == ["a.h5"]
    later = opened(store.path)
    later.write("c", features(3))
    assert "videos/a" in later and later.merge(["videos/a", "c"]) == 4
    with h5py.File(store.path) as file:
        for seed, key in enumerate(("videos/b", "videos/a", "videos/ünï 視頻", "c")):
            np.testing.assert_array_equal(file[key], features(seed))
        assert {name: json.loads(value) for name, value in file.attrs.items()} == SETTINGS


def test_the_same_features_make_the_same_bytes(tmp_path):
    """In whatever order, and over however many runs."""
    contents = set()
    for run, orders in enumerate((["abc"], ["cab"], ["b", "ac"])):
        for order in orders:
            store = opened(tmp_path / f"{run}.h5")
            for key in order:
                store.write(key, features(ord(key)))
            store.merge(order)
        contents.add(store.path.read_bytes())
    assert len(contents) == 1


def test_a_write_that_fails_leaves_the_file_as_it_was(store, monkeypatch):
    store.write("a", features(0))
    store.merge(["a"])
    before = store.path.read_bytes()
    store.start()
    store.write("b", features(1))

    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(h5py.Group, "create_dataset", full_disk)
    with pytest.raises(InputError, match=f"{store.path}: No space left on device"):
        store.merge(["a", "b"])
    assert store.path.read_bytes() == before and "b" in FeatureStore(store.path, SETTINGS)


def test_what_kills_and_systems_left_goes_and_what_is_another_store_s_stays(store):
    store.path.with_name(".a.h5.x1y2.tmp").write_bytes(b"half")
    other = store.path.with_name(".b.h5.x1y2.tmp")
    other.write_bytes(b"of another")
    (store.parts / "@eaDir").mkdir()
    for name in (".DS_Store", "@eaDir/x", f".{hashed_name('a')}.npy.x1y2.tmp"):
        (store.parts / name).touch()
    store.write("a", features(0))
    store.merge(["a"])
    assert sorted(path.name for path in store.path.parent.iterdir()) == [other.name, "a.h5"]


def test_parts_and_notes_of_others_stay(store):
    """Two collections of videos may share a file."""
    for key in "abc":
        store.write(key, features(ord(key)))
        store.write_note(key, "damäged")
    store.write_note("d", "empty")
    store.remove_note("b")
    assert store.merge(["a", "b"]) == 2
    left = {f"{hashed_name('c')}.npy", f"{hashed_name('c')}.txt", f"{hashed_name('d')}.txt", "settings.json"}
    assert {path.name for path in store.parts.iterdir()} == left
    again = opened(store.path)
    assert "c" in again and again.note("d") == "empty"
    assert again.merge(["c", "d"]) == 3 and not again.parts.exists()
    assert [opened(store.path).note(key) for key in "abcd"] == ["damäged", None, "damäged", "empty"]


def test_notes_of_failures_survive_the_merge(store):
    store.write("a", features(0))
    for reason in ("wäs empty", "noise"):  # of another download
        store.start()
        store.write_note("b", reason)
        store.merge(["a", "b"])
    before = store.path.stat()
    later = opened(store.path)
    assert "b" not in later and later.note("b") == "noise"
    assert later.merge(["a", "b"]) == 1 and not later.parts.exists()
    assert (store.path.stat().st_ino, store.path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    later.start()  # the video is downloaded again
    later.write("b", features(1))
    assert later.note("b") is None and later.merge(["b"]) == 2
    mended = FeatureStore(store.path, SETTINGS)
    assert "b" in mended and mended.note("b") is None


def test_other_settings_and_files_are_refused(store, tmp_path):
    with pytest.raises(InputError, match=f"{store.parts} were made with width = 3, and this run has 5"):
        FeatureStore(store.path, SETTINGS | {"width": 5}).start()
    for text in ("[]", '"fps"'):
        (store.parts / "settings.json").write_text(text)
        with pytest.raises(InputError, match=r"settings\.json is not a JSON object of settings: restore it, or"):
            store.start()
    (tmp_path / "text.h5").write_text("notes")
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["a"] = features(0)
    for name in ("text.h5", "own.h5"):
        with pytest.raises(InputError, match=str(tmp_path / name)):
            FeatureStore(tmp_path / name, SETTINGS)


KILLED = """
import os, signal, sys
from pathlib import Path
import h5py, numpy as np
from datasets.writing.feature_store import FeatureStore
path, owner, name, after = sys.argv[1:]
owner = {"h5py": h5py.Group, "file": h5py.File, "os": os}[owner]
original, left = getattr(owner, name), iter(range(int(after)))
def killing(*args, **kwargs):
    if next(left, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **kwargs)
store = FeatureStore(Path(path), {"arch": "toy", "width": 3, "checkpoint_sha256": None})
store.start()
setattr(owner, name, killing)
for key in "abc":
    store.write(key, np.full((2, 3), ord(key), np.float32))
store.merge("abc")
"""


@pytest.mark.parametrize(
    "moment",
    [
        ("os", "replace", 1),  # the second part is written, not renamed
        ("h5py", "create_dataset", 2),  # the file is half written
        ("file", "close", 0),  # before HDF5 flushes it
        ("os", "replace", 3),  # the file is written, not renamed
        ("os", "unlink", 0),  # the file is complete, the parts still there
        ("os", "unlink", 1),  # … one of them is gone
        ("os", "rmdir", 0),  # all are gone, not their folder
    ],
    ids=lambda moment: f"{moment[0]}.{moment[1]} {moment[2]}",
)
def test_killed_at_this_moment(tmp_path, moment):
    path = tmp_path / "a.h5"
    command = [sys.executable, "-c", KILLED, str(path), *map(str, moment)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    store = opened(path)  # readable, or not there
    for key in "abc":
        if key not in store:
            store.write(key, np.full((2, 3), ord(key), np.float32))
    assert store.merge("abc") == 3
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
    with h5py.File(path) as file:
        assert {key: float(item[0, 0]) for key, item in file.items()} == {key: ord(key) for key in "abc"}
