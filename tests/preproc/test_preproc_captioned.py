import json

import h5py
import numpy as np
import pytest

from datasets.sources import get_caption_source
from preproc import preproc_tgif, preproc_vatex

URL = "https://38.media.tumblr.com/{}/tumblr_{}.gif"


@pytest.fixture
def vatex(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    train = [{"videoID": f"v{n}", "enCap": [f"A {n}.", f"B {n}."], "chCap": ["…"]} for n in range(3)]
    (folder / "vatex_training_v1.0.json").write_text(json.dumps(train))
    (folder / "vatex_validation_v1.0.json").write_text(json.dumps([{"videoID": "w", "enCap": ["C."]}]))
    return folder


@pytest.fixture
def tgif(tmp_path):
    folder = tmp_path / "raw"
    (folder / "splits").mkdir(parents=True)
    rows = [(URL.format("aa", n), f"caption {n}") for n in range(4)] + [(URL.format("aa", 0), "caption zero")]
    (folder / "tgif-v1.0.tsv").write_text("".join(f"{url}\t{caption}\n" for url, caption in rows))
    (folder / "splits" / "train.txt").write_text("".join(URL.format("aa", n) + "\n" for n in (0, 2)))
    (folder / "splits" / "val.txt").write_text(URL.format("aa", 3) + "\n")
    return folder


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_vatex(vatex, tmp_path):
    assert preproc_vatex.main(["-i", str(vatex), "-o", str(tmp_path / "out")]) == 0
    assert read(tmp_path / "out" / "train.json")[1] == {"videoID": "v1", "enCap": ["A 1.", "B 1."]}
    assert get_caption_source("vatex").read_captions(tmp_path / "out" / "val.json").captions(0) == ["C."]


def test_tgif(tgif):
    assert preproc_tgif.main(["-i", str(tgif), "-o", str(tgif)]) == 0
    assert read(tgif / "train.json") == [
        {"vid": "tumblr_0", "cap": "caption 0"},
        {"vid": "tumblr_0", "cap": "caption zero"},
        {"vid": "tumblr_2", "cap": "caption 2"},
    ]
    assert get_caption_source("tgif").read_captions(tgif / "val.json").video_ids == ["tumblr_3"]


def test_tgif_lists_may_stand_beside_the_captions(tgif):
    for path in (tgif / "splits").iterdir():
        path.rename(tgif / path.name)
    (tgif / "splits").rmdir()
    assert preproc_tgif.preprocess(tgif, tgif) == {"train": 3, "val": 1}


def test_one_gif_under_two_urls_stays_in_one_split(tgif, capsys):
    other = URL.format("bb", 0)
    with (tgif / "tgif-v1.0.tsv").open("a") as file:
        file.write(f"{other}\tagain\n")
    with (tgif / "splits" / "val.txt").open("a") as file:
        file.write(f"{other}\n")
    assert preproc_tgif.preprocess(tgif, tgif) == {"train": 3, "val": 1}
    assert "val: left out 1 urls" in capsys.readouterr().out


def test_videos_without_features_are_left_out(vatex, tmp_path, capsys):
    features = tmp_path / "vatex.h5"
    with h5py.File(features, "w") as file:
        file["v1"] = file["w"] = np.zeros((2, 4))
    assert preproc_vatex.preprocess(vatex, tmp_path / "out", features) == {"train": 1, "val": 1}
    assert "left out 2 of 3" in capsys.readouterr().out
    with h5py.File(features, "w") as file:
        file["v1"] = np.zeros((2, 4))
    assert preproc_vatex.main(["-i", str(vatex), "-o", str(tmp_path / "out"), "--features", str(features)]) == 2
    assert "no video of val" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("vatex_training_v1.0.json", None, "does not exist"),
        ("vatex_training_v1.0.json", "[", "not valid JSON"),
        ("vatex_training_v1.0.json", "[]", "has no captions"),
        ("vatex_validation_v1.0.json", '[{"videoID": "v0", "enCap": ["x"]}]', "'v0' is in both train and val"),
        ("vatex_validation_v1.0.json", '[{"videoID": "w"}]', "item 0: the captions are None"),
    ],
)
def test_bad_vatex_is_one_line_and_writes_nothing(vatex, tmp_path, capsys, name, text, message):
    (vatex / name).unlink() if text is None else (vatex / name).write_text(text)
    assert preproc_vatex.main(["-i", str(vatex), "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("tgif-v1.0.tsv", None, "does not exist"),
        ("tgif-v1.0.tsv", "", "has no captions"),
        ("tgif-v1.0.tsv", "http://x/a.gif caption\n", "line 1: 'http://x/a.gif caption' is not a url, a tab"),
        ("tgif-v1.0.tsv", "http://x/a.gif\t.\n", "line 1: the caption '.' says nothing"),
        ("splits/val.txt", "http://x/a.gif\n", "'http://x/a.gif' has no caption"),
        ("splits/val.txt", URL.format("aa", 0), "is listed already"),
        ("splits/val.txt", "\n", "lists no url"),
    ],
)
def test_bad_tgif_is_one_line_and_writes_nothing(tgif, tmp_path, capsys, name, text, message):
    (tgif / name).unlink() if text is None else (tgif / name).write_text(text)
    assert preproc_tgif.main(["-i", str(tgif), "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
