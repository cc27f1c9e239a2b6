import json

import h5py
import numpy as np
import pytest

from datasets.errors import InputError
from datasets.names import hashed_name
from datasets.writing.feature_store import FeatureStore

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


def test_the_same_features_make_the_same_bytes(tmp_path):
    contents, keys = set(), ("videos/a", "b", "videos/ünï 視頻")
    for run, orders in enumerate(([[0, 1, 2]], [[2, 0, 1]], [[1], [0, 2]])):
        for order in orders:
            store = opened(tmp_path / str(run) / "a.h5")
            for number in order:
                assert keys[number] not in store
                store.write(keys[number], features(number))
                assert keys[number] in store
            store.merge(["failed", *keys])
        contents.add(store.path.read_bytes())
    assert len(contents) == 1 and [path.name for path in store.path.parent.iterdir()] == ["a.h5"]
    with h5py.File(store.path) as file:
        for number, key in enumerate(keys):
            np.testing.assert_array_equal(file[key], features(number))
        assert {name: json.loads(value) for name, value in file.attrs.items()} == SETTINGS


def test_parts_and_notes_of_others_stay(store):
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


def test_other_settings_and_files_are_refused(store, tmp_path):
    with pytest.raises(InputError, match=f"{store.parts} were made with width = 3, and this run has 5"):
        FeatureStore(store.path, SETTINGS | {"width": 5}).start()
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["a"] = features(0)
    with pytest.raises(InputError, match=str(tmp_path / "own.h5")):
        FeatureStore(tmp_path / "own.h5", SETTINGS)
