"""Clip features: what is read, by which process, and every message."""

import multiprocessing
import pickle
import unicodedata

import h5py
import numpy as np
import pytest

from datasets.clips import ClipFeatures, dataset_names
from datasets.errors import InputError


@pytest.fixture
def file(tmp_path):
    """Videos a (6 clips), b (2), in float32, float16; each clip is filled with its number."""
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["a"] = np.arange(6, dtype=np.float32)[:, None].repeat(4, 1)
        file["videos/b"] = np.arange(2, dtype=np.float16)[:, None].repeat(4, 1)
    return path


def test_all_or_sampled(file):
    features = ClipFeatures(file, 4, max_len=6).read("a")
    assert features.dtype == np.float32
    assert features.shape == (6, 4)
    assert ClipFeatures(file, 4, max_len=3).read("a")[:, 0].tolist() == [0, 2, 4]
    drawn = {tuple(ClipFeatures(file, 4, 3).read("a", np.random.default_rng(seed))[:, 0]) for seed in range(50)}
    assert drawn == {(i, j, k) for i in (0, 1) for j in (2, 3) for k in (4, 5)}
    assert len(ClipFeatures(file, 4).read("a")) == 6


def test_key_and_other_precision(file):
    features = ClipFeatures(file, 4, 10, key="videos/{video_id}").read("b")
    assert features.dtype == np.float32
    assert features[:, 3].tolist() == [0, 1]


def test_missing(file):
    assert ClipFeatures(file, 4).missing(["b", "a", "c"]) == ["b", "c"]
    assert ClipFeatures(file, 4, key="videos/{video_id}").missing(["b", "a"]) == ["a"]


def read_in_child(clips, queue):
    queue.put(clips.read("a")[:, 0].tolist())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_each_process_opens_the_file_itself(file, method):
    clips = ClipFeatures(file, 4)
    clips.read("a")  # open in this process
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=read_in_child, args=(clips, queue))
    process.start()
    assert queue.get(timeout=60) == [0, 1, 2, 3, 4, 5]
    process.join(60)
    assert process.exitcode == 0
    assert clips.read("a").shape == (6, 4)


def test_pickled_while_open(file):
    clips = ClipFeatures(file, 4)
    clips.read("a")
    assert pickle.loads(pickle.dumps(clips)).read("a").shape == (6, 4)


def test_messages_of_a_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.h5 does not exist; preproc/extract_features\.py makes it"):
        ClipFeatures(tmp_path / "none.h5", 4).read("a")
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(InputError, match=r"text\.h5 is not an HDF5 file that can be read"):
        ClipFeatures(tmp_path / "text.h5", 4).missing(["a"])


def test_truncated_file(file):
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"x\.h5 is not an HDF5 file that can be read"):
        ClipFeatures(file, 4).read("a")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            np.zeros((3, 5), np.float32),
            r"float32 of shape \(3, 5\) instead of float \[clips, 4\].*input_video_embed_size",
        ),
        (np.zeros(4, np.float32), r"float32 of shape \(4,\) instead of float"),
        (np.zeros((3, 4), np.int64), r"int64 of shape \(3, 4\) instead of float"),
        (h5py.Empty("f"), r"float32 of shape None instead of float"),
        ("text", r"object of shape \(\) instead of float"),
        (np.zeros((0, 4), np.float32), r"no clips"),
        (np.full((2, 4), np.nan, np.float32), r"holds NaN or infinite numbers"),
        (np.full((2, 4), 1e300), r"holds NaN or infinite numbers"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_messages_of_a_video(tmp_path, value, message):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a"] = value
    with pytest.raises(InputError, match=r"x\.h5, '/?a': " + message):
        ClipFeatures(tmp_path / "x.h5", 4, 10).read("a")


def test_problems_found_without_reading(file, tmp_path):
    path = tmp_path / "bad.h5"
    with h5py.File(path, "w") as bad:
        bad["whole"] = np.zeros((2, 4), np.float32)
        bad["nan"] = np.full((2, 4), np.nan, np.float32)  # known only once it is read
        bad.create_group("group")
        bad["none"] = np.zeros((0, 4), np.float32)
        bad["wide"] = np.zeros((2, 5), np.float32)
        bad["integers"] = np.zeros((2, 4), np.int64)
        bad["link"] = h5py.ExternalLink(str(file), "nothing")
    clips = ClipFeatures(path, 4)
    problems = clips.problems(["whole", "nan", "group", "none", "wide", "integers", "link"])
    assert clips._file is None  # or workers would inherit it
    for (video_id, problem), (expected, words) in zip(
        problems.items(),
        {
            "group": "not a dataset of features but a group",
            "none": "no clips",
            "wide": "float32 of shape (2, 5) instead of float [clips, 4]",
            "integers": "int64 of shape (2, 4) instead of float",
            "link": "no features of this video",
        }.items(),
        strict=True,
    ):
        assert video_id == expected
        assert words in problem


@pytest.mark.parametrize("video_id", ["c", "a/b", "..", "../x", "\0", "a" * 200, "ü"])
def test_no_such_video(file, video_id):
    with pytest.raises(InputError, match=r"x\.h5, .*no features of this video; preproc/check_data\.py lists"):
        ClipFeatures(file, 4).read(video_id)


def test_group_instead_of_a_video(file):
    with pytest.raises(InputError, match=r"'videos': not a dataset of features but a group"):
        ClipFeatures(file, 4).read("videos")


def test_shards_that_are_joined_by_links_are_read(file, tmp_path):
    """External links to datasets and to groups, and virtual datasets: the ways to join files without copying them."""
    layout = h5py.VirtualLayout((8, 4), np.float32)
    layout[:6] = h5py.VirtualSource("x.h5", "a", (6, 4))
    layout[6:] = h5py.VirtualSource("x.h5", "videos/b", (2, 4))
    with h5py.File(tmp_path / "joined.h5", "w") as joined:
        joined["link"] = h5py.ExternalLink("x.h5", "a")
        joined["more"] = h5py.ExternalLink(str(file), "videos")
        joined["soft"] = h5py.SoftLink("/link")
        joined["again"] = h5py.SoftLink("/")
        joined["gone"] = h5py.ExternalLink("gone.h5", "a")
        joined.create_virtual_dataset("virtual", layout)
    clips = ClipFeatures(tmp_path / "joined.h5", 4)
    videos = {"link": 6, "more/b": 2, "soft": 6, "virtual": 8}
    assert clips.missing([*videos, "none"]) == ["none"]
    assert list(clips.problems([*videos, "gone"])) == ["gone"]
    assert {name: len(pickle.loads(pickle.dumps(clips)).read(name)) for name in videos} == videos
    assert clips.read("virtual")[:, 1].tolist() == [0, 1, 2, 3, 4, 5, 0, 1]
    with h5py.File(tmp_path / "joined.h5", locking=False) as joined:
        assert set(dataset_names(joined)) == set(videos)


@pytest.mark.parametrize("source", [("gone.h5", "a"), ("x.h5", "gone")])
def test_a_virtual_dataset_without_its_source_is_no_row_of_zeros(file, tmp_path, source):
    layout = h5py.VirtualLayout((6, 4), np.float32)
    layout[:] = h5py.VirtualSource(*source, (6, 4))
    with h5py.File(tmp_path / "joined.h5", "w") as joined:
        joined.create_virtual_dataset("v", layout)
    clips = ClipFeatures(tmp_path / "joined.h5", 4)
    with pytest.raises(InputError, match=rf"'v': takes features from '{source[1]}' of .*{source[0]}, which is not"):
        clips.read("v")
    assert list(clips.problems(["v"])) == ["v"]


def test_raw_bytes_of_another_file_are_not_read(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("raw", (2, 4), np.float32, external=[("/etc/passwd", 0, 32)])
    with pytest.raises(InputError, match="'raw': keeps its numbers in another kind of file, which is not read"):
        ClipFeatures(tmp_path / "x.h5", 4).read("raw")


def test_damaged_data(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("a", data=np.random.default_rng(0).random((50, 4)), compression="gzip", fletcher32=True)
        offset = file["a"].id.get_chunk_info(0).byte_offset
    data = bytearray((tmp_path / "x.h5").read_bytes())
    data[offset + 20] ^= 255
    (tmp_path / "x.h5").write_bytes(data)
    with pytest.raises(InputError, match=r"x\.h5, 'a': cannot be read"):
        ClipFeatures(tmp_path / "x.h5", 4).read("a")


def test_damaged_anywhere(file):
    """Flipped bits: an error that names the file, or features of the right shape. Nothing else comes out."""
    whole = file.read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for position in random.integers(0, len(whole), 8):
            damaged[position] ^= 1 << random.integers(8)
        file.write_bytes(damaged)
        clips = ClipFeatures(file, 4)
        try:
            if not clips.missing(["a"]):
                assert clips.read("a").shape[1] == 4
        except InputError as error:
            refused += 1
            assert "x.h5" in str(error)
        finally:
            clips.close()
    assert refused > 30


@pytest.mark.parametrize(("asked", "there"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_spelt_otherwise(tmp_path, asked, there):
    name = "Zo\u00eb \ud55c\uad6d"
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file[f"videos/{unicodedata.normalize(there, name)}"] = np.ones((2, 4), np.float32)
    wanted = unicodedata.normalize(asked, name)
    clips = ClipFeatures(tmp_path / "x.h5", 4, key="videos/{video_id}")
    assert clips.missing([wanted, "Zo\u00eb"]) == ["Zo\u00eb"]
    assert clips.problems([wanted]) == {}
    assert pickle.loads(pickle.dumps(clips)).read(wanted).shape == (2, 4)
    with pytest.raises(InputError, match="no features of this video"):
        clips.read("Zo\u00eb")
