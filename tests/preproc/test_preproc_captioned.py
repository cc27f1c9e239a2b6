"""VATEX's and TGIF's published captions to ours."""

import json

import h5py
import numpy as np
import pytest

from preproc import preproc_tgif, preproc_vatex
from tests.kit.other_process import hdf5_elsewhere, writer_elsewhere

URL = "https://38.media.tumblr.com/{}/tumblr_{}.gif"
VATEX, TGIF = preproc_vatex.main, preproc_tgif.main
TRAIN, VAL = "vatex_training_v1.0.json", "vatex_validation_v1.0.json"


@pytest.fixture
def raw(tmp_path):
    """Both collections as published; one of TGIF's gifs is in both splits, under two urls."""
    folder = tmp_path / "raw"
    (folder / "splits").mkdir(parents=True)
    train = [{"videoID": name, "enCap": [f"A {name}.", f"B {name}."], "chCap": ["…"]} for name in ("v0", "e\u0301")]
    (folder / TRAIN).write_text(json.dumps(train))
    (folder / VAL).write_text(json.dumps([{"videoID": "w", "enCap": ["C."]}]))
    captions = [("aa", 0, "caption 0"), ("aa", 1, "unused"), ("aa", 2, "two"), ("aa", 3, "three"), ("aa", 0, "zero")]
    rows = [f"{URL.format(blog, number)}\t{caption}\n" for blog, number, caption in (*captions, ("bb", 0, "again"))]
    (folder / "tgif-v1.0.tsv").write_text("".join(rows))
    for split, gifs in (("train", (("aa", 0), ("aa", 2))), ("val", (("aa", 3), ("bb", 0)))):
        (folder / "splits" / f"{split}.txt").write_text("".join(URL.format(*gif) + "\n" for gif in gifs))
    return folder


def written(folder) -> dict[str, list]:
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("[!.]*.json")}


def test_vatex(raw, tmp_path, refused):
    arguments = ["-i", str(raw), "-o", str(tmp_path / "out")]
    (tmp_path / "out").mkdir()
    with writer_elsewhere(tmp_path / "out" / ".preproc.lock"):
        assert "out is being written by process" in refused(VATEX, *arguments)
    assert written(tmp_path / "out") == {}
    assert VATEX(arguments) == 0
    train = [{"videoID": name, "enCap": [f"A {name}.", f"B {name}."]} for name in ("v0", "e\u0301")]
    assert written(tmp_path / "out") == {"train": train, "val": [{"videoID": "w", "enCap": ["C."]}]}


def test_videos_without_features_are_left_out(raw, tmp_path, capsys, refused):
    """Features that are named in another spelling, in a file that is open elsewhere."""
    features = tmp_path / "features.h5"
    with h5py.File(features, "w") as file:
        file["\u00e9"] = file["w"] = file["tumblr_2"] = file["tumblr_3"] = np.zeros((2, 4))
    with hdf5_elsewhere(features):
        for main, key, name in ((VATEX, "videoID", "e\u0301"), (TGIF, "vid", "tumblr_2")):
            arguments = ["-i", str(raw), "-o", str(tmp_path / key), "--features", str(features)]
            assert main(arguments) == 0 and "train: left out " in capsys.readouterr().out
            assert [record[key] for record in written(tmp_path / key)["train"]] == [name]
    with h5py.File(features, "a") as file:
        del file["tumblr_3"]
    assert "no video of val" in refused(TGIF, *arguments)


@pytest.mark.parametrize("lists", ["splits", "."])
def test_tgif(raw, tmp_path, capsys, lists):
    for path in (raw / "splits").iterdir():
        path.rename(raw / lists / path.name)
    if lists == ".":
        (raw / "splits").rmdir()
    assert TGIF(["-i", str(raw), "-o", str(tmp_path)]) == 0
    captions = [("tumblr_0", "caption 0"), ("tumblr_0", "zero"), ("tumblr_2", "two")]
    train = [{"vid": name, "cap": caption} for name, caption in captions]
    assert written(tmp_path) == {"train": train, "val": [{"vid": "tumblr_3", "cap": "three"}]}
    assert "val: left out 1 urls" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("main", "name", "text", "said"),
    [
        (VATEX, TRAIN, "[", "not valid JSON"),
        (VATEX, TRAIN, "[]", "has no captions"),
        (VATEX, VAL, '[{"videoID": "v0", "enCap": ["x"]}]', "'v0' is in both train and val"),
        (TGIF, "tgif-v1.0.tsv", "", "has no captions"),
        (TGIF, "tgif-v1.0.tsv", "http://x/a.gif caption\n", "line 1: 'http://x/a.gif caption' is not a url, a tab"),
        (TGIF, "tgif-v1.0.tsv", "http://x/a.gif\t.\n", "line 1: the caption '.' says nothing"),
        (TGIF, "splits/val.txt", "http://x/a.gif\n", "'http://x/a.gif' has no caption"),
        (TGIF, "splits/val.txt", URL.format("aa", 0), "is listed already"),
        (TGIF, "splits/val.txt", "\n", "lists no url"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(raw, tmp_path, refused, main, name, text, said):
    (raw / name).write_text(text)
    assert said in refused(main, "-i", raw, "-o", tmp_path / "out")
    (raw / name).unlink()
    assert f"{name} does not exist" in refused(main, "-i", raw, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()
