"""Published annotations to ours: what is kept, what is drawn or dropped, and what is refused."""

import csv
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from datasets.annotations import read_vocabulary
from datasets.sources import agqa
from preproc import make_vocabulary, preproc_agqa, preproc_anetqa, preproc_tgif, preproc_vatex
from preproc.preproc_agqa import draw_videos
from tests.kit.other_process import hdf5_elsewhere, writer_elsewhere
from tests.kit.paths import ROOT
from tests.kit.processes import run_python

from .conftest import contents

SCRIPTS = {"agqa": preproc_agqa, "anetqa": preproc_anetqa, "tgif": preproc_tgif, "vatex": preproc_vatex}
SPLITS = ("train", "val", "test")
# ActivityNet-QA: split -> (answer, type) of its questions
ANSWERS = {
    "train": [("no", 3), ("yes", 3), ("red, dark", 4), ("yes", 3), ("red, dark", 4), ("once", 8), ("no", 3), ("no", 3)],
    "val": [("yes", 3), ("never seen", 8)],
    "test": [("NA", 0), ("no", 3), ("once", 8)],
}
AGQA = {"global": ["exists", "obj-rel"], "local": "v-o-rel", "ans_type": "binary", "steps": 3, "novel_comp": 0}
AGQA |= {"semantic": "relation", "structural": "verify", "i_obj": 0, "more_steps": 1, "direct_equiv": None}
AGQA |= {"program": "Exists(…)", "sg_grounding": {"3-4": ["o1/000001"]}}
TRAIN = [{"videoID": name, "enCap": [f"A {name}.", f"B {name}."]} for name in ("v0", "e\u0301")]
VAL = [{"videoID": "w", "enCap": ["C."]}]
URL = "https://38.media.tumblr.com/{}/tumblr_{}.gif\n"


def record(index, videos=5, answer="yes", **more):
    text = {"question": f"où {index}?", "answer": answer, "video_id": f"V{index % videos}", "nc_seq": index % 2}
    return text | AGQA | more


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def written(folder) -> list:
    return [load(folder / f"{split}.json") for split in SPLITS if (folder / f"{split}.json").exists()]


@pytest.fixture
def raw(tmp_path) -> dict[str, Path]:
    """dataset -> folder of its files; one of TGIF's gifs is in both splits, under two urls."""
    files = {}
    for split, answers in ANSWERS.items():
        ids = [{"question_id": f"v_{split}_{i}"} for i in range(len(answers))]
        questions = [{"video_name": f"{split}{i % 2}", "question": f'what,\n"{i}"'} | qid for i, qid in enumerate(ids)]
        pairs = zip(answers, ids, strict=True)
        replies = [{"answer": answer, "type": kind} | qid for (answer, kind), qid in pairs]
        files |= {f"anetqa/{split}_q.json": questions, f"anetqa/{split}_a.json": replies[::-1]}  # they are joined by id
    answers = ("yes", "no", "yes", "a dish", "no", "yes", "once")
    train = {f"V{index % 20}-{index}": record(index, 20, answers[index % 7]) for index in range(140)}
    test = {f"T{index}": record(index, indirect=index % 2, direct_equiv=("T0", None)[index % 2]) for index in range(11)}
    files |= {"agqa/train_balanced.txt": train, "agqa/test_balanced.txt": test}
    files["vatex/vatex_training_v1.0.json"] = [one | {"chCap": ["…"]} for one in TRAIN]
    files["vatex/vatex_validation_v1.0.json"] = VAL
    gifs = [("a", 0, "zero"), ("a", 1, "unused"), ("a", 2, "two"), ("a", 3, "three"), ("a", 0, "null"), ("b", 0, "x")]
    rows = [f"{URL.format(blog, number)[:-1]}\t{caption}\n" for blog, number, caption in gifs]
    files |= {"tgif/tgif-v1.0.tsv": "".join(rows), "tgif/train.txt": URL.format("a", 0) + URL.format("a", 2)}
    files["tgif/val.txt"] = URL.format("a", 3) + URL.format("b", 0)
    for name, content in files.items():
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False), "utf-8")
    return {name: tmp_path / "raw" / name for name in SCRIPTS}


def test_anetqa(raw, tmp_path):
    done = run_python(ROOT / "preproc" / "preproc_anetqa.py", "-i", raw["anetqa"], cwd=tmp_path)
    *inputs, result = done.stdout.splitlines()
    assert result == "data/anetqa: train 7, val 2, test 3, vocabulary 3"
    assert len(inputs) == 6 and "train_q.json: not one of the published files known here" in inputs[0]
    out = tmp_path / "data" / "anetqa"
    assert {path.name for path in out.iterdir()} == {"train.csv", "val.csv", "test.csv", "vocab.json"}
    assert read_vocabulary(out / "vocab.json") == ["no", "red, dark", "yes"]
    for split, answers in ANSWERS.items():
        kept = [(i, *one) for i, one in enumerate(answers) if split != "train" or one[0] != "once"]
        rows = [(f"v_{split}_{i}", f'what,\n"{i}"', answer, f"{split}{i % 2}", str(kind)) for i, answer, kind in kept]
        with (out / f"{split}.csv").open(newline="") as file:
            names = ("qid", "question", "answer", "video_id", "type")
            assert [tuple(row[name] for name in names) for row in csv.DictReader(file)] == rows


def test_agqa(raw, tmp_path):
    """A seeded split by video; records are cut down to what is read, or whole."""
    main, out, full = preproc_agqa.main, tmp_path / "out", tmp_path / "full"
    counts = preproc_agqa.preprocess(raw["agqa"], out)
    assert counts == {"train": 126, "val": 14, "test": 11, "vocabulary": 4}
    train, val, test = written(out)
    videos = [{row["video_id"] for row in split.values()} for split in (train, val)]
    assert [len(each) for each in videos] == [18, 2] and not videos[0] & videos[1]
    published, asked = (load(raw["agqa"] / f"{split}_balanced.txt") for split in ("train", "test"))
    kept = (*agqa.FIELDS, "steps", "novel_comp", "nc_seq", "i_obj", "more_steps")
    assert train | val == {qid: {name: row[name] for name in kept} for qid, row in published.items()}
    assert list(train) == [qid for qid in published if qid in train] and list(test) == list(asked)
    assert read_vocabulary(out / "vocab.json") == ["yes", "no", "a dish", "once"]
    for split, name in agqa.SOURCE.split_files.items():  # the tables are ready
        assert (out / f".{name}.arrow").exists() and len(agqa.read_questions(out / name)) == counts[split]
    assert main(["-i", str(raw["agqa"]), str(full), "--full"]) == 0  # as the published README has it
    assert written(full)[0] | written(full)[1] == published and written(full)[2] == asked
    for seed in (0, 1):
        preproc_agqa.preprocess(raw["agqa"], tmp_path / str(seed), seed)
        assert (written(tmp_path / str(seed)) == written(out)) == (seed == 0)
    assert draw_videos([f"v{index}" for index in range(30)], 0.1, seed=0) == ["v20", "v9", "v21"]  # on any machine


def test_captions(raw, tmp_path, capsys, refused):
    """Features may be named in another spelling, in a file that is open elsewhere; a gif is in one split alone."""
    (tmp_path / "vatex").mkdir()
    with writer_elsewhere(tmp_path / "vatex" / ".preproc.lock"):
        said = refused(preproc_vatex.main, "-i", raw["vatex"], "-o", tmp_path / "vatex")
        assert "vatex is being written by process" in said and written(tmp_path / "vatex") == []
    gifs = [{"vid": f"tumblr_{number}", "cap": caption} for number, caption in ((0, "zero"), (0, "null"), (2, "two"))]
    whole = {"vatex": [TRAIN, VAL], "tgif": [gifs, [{"vid": "tumblr_3", "cap": "three"}]]}
    with h5py.File(tmp_path / "features.h5", "w") as file:
        file["\u00e9"] = file["w"] = file["tumblr_2"] = file["tumblr_3"] = np.zeros((2, 4))
    with hdf5_elsewhere(tmp_path / "features.h5"):
        for name, splits in whole.items():
            arguments = ["-i", str(raw[name]), "-o", str(tmp_path / name)]
            assert SCRIPTS[name].main(arguments) == 0 and written(tmp_path / name) == splits
            assert SCRIPTS[name].main([*arguments, "--features", str(tmp_path / "features.h5")]) == 0
            assert "train: left out " in capsys.readouterr().out
            assert written(tmp_path / name) == [splits[0][-1:], splits[1]]
    with h5py.File(tmp_path / "features.h5", "a") as file:
        del file["tumblr_3"]
    assert "no video of val" in refused(preproc_tgif.main, *arguments, "--features", tmp_path / "features.h5")


REPEATED = '{{"a": {0}, "b": {0}, "a": {0}}}'.format(json.dumps(record(0)))
ASKED = {"question_id": "b", "video_name": "a", "question": "c"}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("agqa/train_balanced.txt", {"a": record(0, video_id="../x")}, "the video id '../x' cannot be a file name"),
        ("agqa/test_balanced.txt", {"b": record(1, nc_seq="1")}, ", record 'b': 'nc_seq' is '1', not 0 or 1"),
        ("agqa/test_balanced.txt", REPEATED, ", record 'a': the question id occurs twice"),
        ("anetqa/train_a.json", [ASKED | {"answer": "x", "type": 9}], ", item 0: the type is 9; there are 0 to 8"),
        ("anetqa/test_q.json", [ASKED, ASKED], " holds no records with an id each: 'b' occurs twice"),
        ("anetqa/test_q.json", [ASKED], "do not match: 4 id(s): 'b', 'v_test_0'"),
        ("vatex/vatex_validation_v1.0.json", [{"videoID": "v0", "enCap": ["x"]}], "'v0' is in both train and val"),
        ("tgif/tgif-v1.0.tsv", "http://x/a.gif caption\n", "line 1: 'http://x/a.gif caption' is not a url, a tab"),
        ("tgif/val.txt", URL.format("a", 0), "is listed already"),
    ],
)
def test_a_broken_file_is_named_and_older_output_kept(raw, tmp_path, refused, name, content, said):
    dataset, out = name.split("/")[0], tmp_path / "out"
    SCRIPTS[dataset].preprocess(raw[dataset], out)
    before = contents(out)
    (tmp_path / "raw" / name).unlink()
    if content is not None:
        (tmp_path / "raw" / name).write_text(content if isinstance(content, str) else json.dumps(content))
    error = refused(SCRIPTS[dataset].main, "-i", raw[dataset], "-o", out)
    assert said in error and (Path(name).stem.split("_")[0] in error or "both" in said)
    assert contents(out) == before


def test_vocabulary():
    """The most frequent first; ties in alphabetical order."""
    answers, make = ["b", "c", "a", "c", "b", "d"], make_vocabulary.make_vocabulary
    assert make(answers) == {"b": 0, "c": 1, "a": 2, "d": 3} and make(answers, min_count=2) == {"b": 0, "c": 1}
    assert make(answers, max_size=3) == {"b": 0, "c": 1, "a": 2}
