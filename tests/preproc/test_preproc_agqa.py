"""AGQA's published files to ours: a seeded split by video, records cut down, bad input refused."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.annotations import read_vocabulary
from datasets.sources.agqa import FIELDS, SOURCE, read_questions
from preproc.preproc_agqa import draw_videos, main, preprocess

from .conftest import contents

TRAIN, TEST = "train_balanced.txt", "test_balanced.txt"
ANSWERS = ["yes", "no", "yes", "a dish", "no", "yes", "once"]
RECORD = {"global": ["exists", "obj-rel"], "local": "v-o-rel", "ans_type": "binary", "steps": 3, "novel_comp": 0}
RECORD |= {"semantic": "relation", "structural": "verify", "i_obj": 0, "more_steps": 1, "direct_equiv": None}
RECORD |= {"program": "Exists(…)", "sg_grounding": {"3-4": ["o1/000001"]}}


def record(index, videos=5, answer="yes", **more):
    text = {"question": f"où {index}?", "answer": answer, "video_id": f"V{index % videos}", "nc_seq": index % 2}
    return text | RECORD | more


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    train = {f"V{index % 20}-{index}": record(index, 20, ANSWERS[index % 7]) for index in range(140)}
    odd = {"indirect": 1, "direct_equiv": "T0"}
    test = {f"T{index}": record(index, **(odd if index % 2 else {"indirect": 0})) for index in range(11)}
    (folder / TRAIN).write_text(json.dumps(train, ensure_ascii=False), encoding="utf-8")
    (folder / TEST).write_text(json.dumps(test, indent=1), encoding="utf-8")
    return folder


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_splits_and_vocabulary(raw, tmp_path):
    out = tmp_path / "out"
    counts = preprocess(raw, out)
    assert counts == {"train": 126, "val": 14, "test": 11, "vocabulary": 4}
    train, val, test = (load(out / f"{split}.json") for split in ("train", "val", "test"))
    videos = [{row["video_id"] for row in split.values()} for split in (train, val)]
    assert [len(each) for each in videos] == [18, 2] and not videos[0] & videos[1]
    published = load(raw / TRAIN)
    kept = (*FIELDS, "steps", "novel_comp", "nc_seq", "i_obj", "more_steps")
    assert train | val == {qid: {name: row[name] for name in kept} for qid, row in published.items()}
    assert list(train) == [qid for qid in published if qid in train] and list(test) == list(load(raw / TEST))
    companions = [(row.get("indirect"), row.get("direct_equiv")) for row in test.values()]
    assert companions == [(index % 2, "T0" if index % 2 else None) for index in range(11)]
    expected = Counter(row["answer"] for row in published.values())
    assert read_vocabulary(out / "vocab.json") == sorted(expected, key=lambda answer: (-expected[answer], answer))
    for split, name in SOURCE.split_files.items():  # the tables are ready
        before = (out / f".{name}.arrow").stat().st_mtime_ns
        assert len(read_questions(out / name)) == counts[split]
        assert (out / f".{name}.arrow").stat().st_mtime_ns == before


def test_full_keeps_every_field(raw, tmp_path):
    assert main(["-i", str(raw), "-o", str(tmp_path / "out"), "--full"]) == 0
    train, val, test = (load(tmp_path / "out" / f"{split}.json") for split in ("train", "val", "test"))
    assert train | val == load(raw / TRAIN) and test == load(raw / TEST)


def test_the_same_seed_gives_the_same_files(raw, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        preprocess(raw, tmp_path / name, seed)
    files = {name: (tmp_path / name / "val.json").read_bytes() for name in "abc"}
    assert files["a"] == files["b"] != files["c"]
    assert (tmp_path / "a" / "vocab.json").read_bytes() == (tmp_path / "c" / "vocab.json").read_bytes()
    assert draw_videos([f"v{index}" for index in range(30)], 0.1, seed=0) == ["v20", "v9", "v21"]  # on any machine


@given(count=st.integers(2, 200), fraction=st.floats(0.001, 0.999), seed=st.integers(0, 5))
def test_draw(count, fraction, seed):
    ids = [f"v{index}" for index in range(count)]
    drawn = draw_videos(ids, fraction, seed)
    assert drawn == draw_videos(reversed(ids), fraction, seed)
    assert len(drawn) == len(set(drawn)) == min(max(round(fraction * count), 1), count - 1)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (TRAIN, None, " does not exist"),
        (TEST, None, " does not exist"),
        (TEST, "[]", " is not a JSON object of records"),
        (TEST, "{}", " has no questions"),
        (TEST, '{"a": {', " is not valid JSON"),
        (TEST, {"a": {}}, ", record 'a': no 'question'"),
        (TRAIN, {"a": record(0, video_id="../../x")}, ", record 'a': the video id '../../x' cannot be a file name"),
        (TRAIN, {"a": record(0, question="\0")}, ", record 'a': 'question' contains a NUL character"),
        (TEST, {"a": record(0), "b": record(1, nc_seq="1")}, ", record 'b': 'nc_seq' is '1', not 0 or 1"),
        (
            TEST,
            '{{"a": {0}, "b": {0}, "a": {0}}}'.format(json.dumps(record(0))),
            ", record 'a': the question id occurs",
        ),
        (TRAIN, {"a": record(0)}, " has questions on 1 video(s); a split by video needs at least 2"),
    ],
)
def test_a_broken_file_is_named_and_older_output_kept(raw, tmp_path, refused, name, content, said):
    out = tmp_path / "out"
    preprocess(raw, out)
    before = contents(out)
    (raw / name).unlink()
    if content is not None:
        (raw / name).write_text(content if isinstance(content, str) else json.dumps(content))
    assert f"error: {raw / name}{said}" in refused(main, "-i", raw, "-o", out)
    assert contents(out) == before
