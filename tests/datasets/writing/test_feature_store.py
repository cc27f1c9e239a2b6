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


def features(seed: int, clips: int = 4, dtype=np.float32) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((clips, 3)).astype(dtype)


@pytest.fixture
def store(tmp_path):
    store = FeatureStore(tmp_path / "a.h5", SETTINGS)
    store.start()
    return store


def test_parts_become_one_file(store):
    for seed, key in enumerate(("videos/b", "videos/a", "videos/ünï 視頻")):
        assert key not in store
        store.write(key, features(seed))
        assert key in store
    assert store.merge(["videos/a", "videos/b", "videos/ünï 視頻", "videos/failed"]) == 3
    with h5py.File(store.path) as file:
        np.testing.assert_array_equal(file["videos/b"], features(0))
        np.testing.assert_array_equal(file["videos/ünï 視頻"], features(2))
        assert {name: json.loads(value) for name, value in file.attrs.items()} == SETTINGS
    assert [path.name for path in store.path.parent.iterdir()] == ["a.h5"]


def test_later_videos_join_the_file(store):
    store.write("a", features(0))
    store.merge(["a"])
    again = FeatureStore(store.path, SETTINGS)
    assert "a" in again
    again.start()
    again.write("b", features(1))
    assert again.merge(["a", "b"]) == 2
    with h5py.File(store.path) as file:
        np.testing.assert_array_equal(file["a"], features(0))
        np.testing.assert_array_equal(file["b"], features(1))


def test_the_same_features_make_the_same_bytes(tmp_path):
    """In whatever order, and over however many runs."""
    contents = set()
    for run, orders in enumerate((["abc"], ["cab"], ["b", "ac"])):
        store = FeatureStore(tmp_path / f"{run}.h5", SETTINGS)
        for order in orders:
            store.start()
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
    with pytest.raises(InputError, match=r"cannot write .*a\.h5: No space left on device"):
        store.merge(["a", "b"])
    assert store.path.read_bytes() == before
    assert "b" in FeatureStore(store.path, SETTINGS)


def test_what_a_killed_merge_left_is_removed(store):
    store.path.with_name(".a.h5.x1y2.tmp").write_bytes(b"half")
    other = store.path.with_name(".b.h5.x1y2.tmp")
    other.write_bytes(b"of another")
    store.write("a", features(0))
    store.merge(["a"])
    assert sorted(path.name for path in store.path.parent.iterdir()) == [other.name, "a.h5"]


def test_what_systems_put_among_the_parts_goes_with_them(store):
    (store.parts / ".DS_Store").touch()
    (store.parts / "@eaDir").mkdir()
    (store.parts / "@eaDir" / "x").touch()
    store.write("a", features(0))
    store.merge(["a"])
    assert [path.name for path in store.path.parent.iterdir()] == ["a.h5"]


def test_notes(store):
    assert store.note("a") is None
    store.write_note("a", "wäs empty")
    assert FeatureStore(store.path, SETTINGS).note("a") == "wäs empty"
    store.remove_note("a")
    store.remove_note("a")
    assert store.note("a") is None


def test_notes_stay_with_the_features(store):
    for key in ("a", "b"):
        store.write(key, features(0))
    store.write_note("a", "damäged")
    store.merge(["a", "b"])
    assert store.note("a") == "damäged" and store.note("b") is None
    later = FeatureStore(store.path, SETTINGS)
    later.start()
    later.write("c", features(1))
    later.merge(["a", "b", "c"])
    assert [FeatureStore(store.path, SETTINGS).note(key) for key in "abc"] == ["damäged", None, None]


def test_parts_of_others_stay(store):
    """Two collections of videos may share a file."""
    for key in "abc":
        store.write(key, features(ord(key)))
        store.write_note(key, "damaged")
    store.write_note("d", "empty")
    (store.parts / f".{hashed_name('a')}.npy.x1y2.tmp").write_bytes(b"of a run that was killed")
    assert store.merge(["a", "b"]) == 2
    left = {f"{hashed_name('c')}.npy", f"{hashed_name('c')}.txt", f"{hashed_name('d')}.txt", "settings.json"}
    assert {path.name for path in store.parts.iterdir()} == left
    again = FeatureStore(store.path, SETTINGS)
    again.start()
    assert "c" in again and again.note("d") == "empty"
    assert again.merge(["c", "d"]) == 3
    assert not again.parts.exists()


def test_notes_of_failures_survive_the_merge(store):
    store.write("videos/a", features(0))
    store.write_note("videos/b", "wäs empty")
    store.merge(["videos/a", "videos/b"])
    before = store.path.stat()
    for _ in range(2):
        later = FeatureStore(store.path, SETTINGS)
        later.start()
        assert "videos/b" not in later and later.note("videos/b") == "wäs empty"
        assert later.merge(["videos/a", "videos/b"]) == 1
        assert not later.parts.exists()
    assert (store.path.stat().st_ino, store.path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    later.start()  # the video is downloaded again
    later.write("videos/b", features(1))
    assert later.note("videos/b") is None
    assert later.merge(["videos/b"]) == 2
    mended = FeatureStore(store.path, SETTINGS)
    assert "videos/b" in mended and mended.note("videos/b") is None
    with h5py.File(store.path) as file:
        assert list(file) == ["videos"]


def test_a_failure_alone_is_added_to_the_file(store):
    store.write("a", features(0))
    store.merge(["a"])
    store.start()
    store.write_note("b", "empty")
    store.merge(["a", "b"])
    assert FeatureStore(store.path, SETTINGS).note("b") == "empty"
    store.start()
    store.write_note("b", "noise")  # another download
    store.write("c", features(1))
    store.merge(["c"])
    store.merge(["b"])
    assert [FeatureStore(store.path, SETTINGS).note(key) for key in "abc"] == [None, "noise", None]


def test_other_settings_are_refused(store):
    other = FeatureStore(store.path, SETTINGS | {"width": 5})
    with pytest.raises(
        InputError, match=r"the features in .*a\.h5\.parts were made with width = 3, and this run has 5"
    ):
        other.start()
    store.write("a", features(0))
    store.merge(["a"])
    with pytest.raises(
        InputError, match=r"the features in .*a\.h5 were made with arch = 'toy', and this run has 'base'"
    ):
        FeatureStore(store.path, SETTINGS | {"arch": "base"})


def test_a_file_of_another_kind_is_not_touched(tmp_path):
    (tmp_path / "a.h5").write_text("notes")
    with pytest.raises(InputError, match=r"a\.h5 cannot be read \(move it away, or name another output"):
        FeatureStore(tmp_path / "a.h5", SETTINGS)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["a"] = features(0)
    with pytest.raises(InputError, match=r"made with arch = None, and this run has 'toy'"):
        FeatureStore(tmp_path / "b.h5", SETTINGS)


KILLED = """
import os, signal, sys
import h5py, numpy as np
from pathlib import Path
from datasets.writing import feature_store

def killing(module, name, after):
    original, calls = getattr(module, name), 0
    def wrapper(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls > after:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)
    setattr(module, name, wrapper)

store = feature_store.FeatureStore(Path(sys.argv[1]), {"arch": "toy", "width": 3, "checkpoint_sha256": None})
store.start()
place, name, after = sys.argv[2:]
owners = {"h5py": h5py.Group, "file": h5py.File, "os": os, "np": np}
killing(owners[place], name, int(after))
for key in "abc":
    if key not in store:
        store.write(key, np.full((2, 3), ord(key), np.float32))
store.merge("abc")
"""


@pytest.mark.parametrize(
    "moment",
    [
        ("np", "save", 1),  # before the second part is written
        ("os", "replace", 1),  # the second part is written, not renamed
        ("h5py", "create_dataset", 2),  # the file is half written
        ("file", "close", 0),  # before HDF5 flushes it
        ("os", "fsync", 3),  # the file is written, not on disk
        ("os", "replace", 3),  # … not renamed
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
    store = FeatureStore(path, SETTINGS)  # readable, or not there
    store.start()
    for key in "abc":
        if key not in store:
            store.write(key, np.full((2, 3), ord(key), np.float32))
    assert store.merge("abc") == 3
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
    with h5py.File(path) as file:
        assert {key: float(item[0, 0]) for key, item in file.items()} == {key: ord(key) for key in "abc"}
