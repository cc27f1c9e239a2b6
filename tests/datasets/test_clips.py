import pickle

import h5py
import numpy as np
import pytest

from datasets.clips import ClipFeatures, dataset_names
from datasets.errors import InputError


@pytest.fixture
def file(tmp_path):
    """Videos a (6 clips), videos/b (2), in float32, float16; each clip is filled with its number."""
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["a"] = np.arange(6, dtype=np.float32)[:, None].repeat(4, 1)
        file["videos/b"] = np.arange(2, dtype=np.float16)[:, None].repeat(4, 1)
    return path


def test_all_or_sampled(file):
    assert ClipFeatures(file, 4).read("a").shape == (6, 4)
    assert ClipFeatures(file, 4, max_len=3).read("a")[:, 0].tolist() == [0, 2, 4]
    drawn = {tuple(ClipFeatures(file, 4, 3).read("a", np.random.default_rng(seed))[:, 0]) for seed in range(50)}
    assert drawn == {(i, j, k) for i in (0, 1) for j in (2, 3) for k in (4, 5)}
    other = ClipFeatures(file, 4, 10, key="videos/{video_id}")
    assert other.missing(["b", "a"]) == ["a"]
    assert other.read("b").dtype == np.float32 and other.read("b")[:, 3].tolist() == [0, 1]


BAD = {  # of which all but the last two are found without reading
    "none": (np.zeros((0, 4), np.float32), "no clips"),
    "wide": (np.zeros((3, 5), np.float32), "float32 of shape (3, 5) instead of float [clips, 4]"),
    "empty": (h5py.Empty("f"), "shape None"),
    "link": (h5py.ExternalLink("gone.h5", "nothing"), "no features of this video"),
    "nan": (np.full((2, 4), np.nan, np.float32), "NaN or infinite"),
    "large": (np.full((2, 4), 1e300), "NaN or infinite"),
}


@pytest.mark.filterwarnings("error")
def test_videos_that_cannot_be_used(tmp_path):
    path = tmp_path / "bad.h5"
    with h5py.File(path, "w") as bad:
        bad["whole"] = np.zeros((2, 4), np.float32)
        for name, (value, _) in BAD.items():
            bad[name] = value
    clips = ClipFeatures(path, 4)
    problems = clips.problems(["whole", *BAD])
    assert clips._file is None  # or workers would inherit it
    assert list(problems) == list(BAD)[:-2]
    for name, (_, said) in BAD.items():
        with pytest.raises(InputError) as caught:
            clips.read(name)
        message = str(caught.value)
        assert str(path) in message and repr(name) in message and said in message
        assert problems.get(name, message) == message


def test_shards_that_are_joined_by_links_are_read(file, tmp_path):
    layout = h5py.VirtualLayout((8, 4), np.float32)
    layout[:6] = h5py.VirtualSource("x.h5", "a", (6, 4))
    layout[6:] = h5py.VirtualSource("x.h5", "videos/b", (2, 4))
    with h5py.File(tmp_path / "joined.h5", "w") as joined:
        joined["link"] = h5py.ExternalLink("x.h5", "a")
        joined["more"] = h5py.ExternalLink(str(file), "videos")
        joined["again"] = h5py.SoftLink("/")
        joined.create_virtual_dataset("virtual", layout)
    clips = pickle.loads(pickle.dumps(ClipFeatures(tmp_path / "joined.h5", 4)))
    videos = {"link": 6, "more/b": 2, "virtual": 8}
    assert clips.missing([*videos, "none"]) == ["none"] and clips.problems(videos) == {}
    assert {name: len(clips.read(name)) for name in videos} == videos
    with h5py.File(tmp_path / "joined.h5", locking=False) as joined:
        assert set(dataset_names(joined)) == set(videos)


@pytest.mark.parametrize("source", [("gone.h5", "a"), ("x.h5", "gone"), ()])
def test_numbers_that_lie_elsewhere_are_no_row_of_zeros(file, tmp_path, source):
    with h5py.File(tmp_path / "joined.h5", "w") as joined:
        if source:
            layout = h5py.VirtualLayout((6, 4), np.float32)
            layout[:] = h5py.VirtualSource(*source, (6, 4))
            joined.create_virtual_dataset("v", layout)
        else:
            joined.create_dataset("v", (2, 4), np.float32, external=[("/etc/passwd", 0, 32)])
    said = f"'v': .*{source[1]}' of .*{source[0]}" if source else "'v': .*another kind of file"
    with pytest.raises(InputError, match=said):
        ClipFeatures(tmp_path / "joined.h5", 4).read("v")
