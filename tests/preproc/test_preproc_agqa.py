"""AGQA's published files to ours: a seeded split by video, records cut down, bad input refused."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.annotations import read_vocabulary
from datasets.errors import InputError
from datasets.sources.agqa import FIELDS, SOURCE, read_questions
from preproc.preproc_agqa import draw_videos, main, preprocess


def record(index, videos, answer="yes"):
    return {
        "question": f"où {index}?",
        "answer": answer,
        "video_id": f"V{index % videos}",
        "global": ["exists", "obj-rel"],
        "local": "v-o-rel",
        "ans_type": "binary",
        "steps": 3,
        "semantic": "relation",
        "structural": "verify",
        "novel_comp": 0,
        "nc_seq": index % 2,
        "i_obj": 0,
        "more_steps": 1,
        "direct_equiv": None,
        "program": "Exists(…)",
        "sg_grounding": {"3-4": ["o1/000001"]},
    }


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    answers = ["yes", "no", "yes", "a dish", "no", "yes", "once"]
    train = {f"V{index % 20}-{index}": record(index, 20, answers[index % 7]) for index in range(140)}
    test = {f"T{index}": record(index, 5) for index in range(11)}
    for index, row in enumerate(test.values()):
        row.update(indirect=index % 2, direct_equiv="T0" if index % 2 else None)
    (folder / "train_balanced.txt").write_text(json.dumps(train, ensure_ascii=False), encoding="utf-8")
    (folder / "test_balanced.txt").write_text(json.dumps(test, indent=1), encoding="utf-8")
    return folder


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_splits_and_vocabulary(raw, tmp_path):
    out = tmp_path / "out"
    counts = preprocess(raw, out)
    assert counts == {"train": 126, "val": 14, "test": 11, "vocabulary": 4}
    train, val, test = (load(out / f"{split}.json") for split in ("train", "val", "test"))
    videos = [{row["video_id"] for row in split.values()} for split in (train, val)]
    assert [len(each) for each in videos] == [18, 2]
    assert not videos[0] & videos[1]
    published = load(raw / "train_balanced.txt")
    assert train | val == {
        qid: {name: row[name] for name in (*FIELDS, "steps", "novel_comp", "nc_seq", "i_obj", "more_steps")}
        for qid, row in published.items()
    }
    assert list(train) == [qid for qid in published if qid in train]
    assert list(test) == list(load(raw / "test_balanced.txt"))
    kept = [(row.get("indirect"), row.get("direct_equiv")) for row in test.values()]
    assert kept == [(index % 2, "T0" if index % 2 else None) for index in range(11)]
    expected = Counter(row["answer"] for row in published.values())
    assert read_vocabulary(out / "vocab.json") == sorted(expected, key=lambda answer: (-expected[answer], answer))


def test_the_tables_are_ready(raw, tmp_path):
    out = tmp_path / "out"
    counts = preprocess(raw, out)
    for split, name in SOURCE.split_files.items():
        table = read_questions(out / name)
        assert len(table) == counts[split]
        copy = out / f".{name}.arrow"
        before = copy.stat().st_mtime_ns
        read_questions(out / name)
        assert copy.stat().st_mtime_ns == before


def test_full_keeps_every_field(raw, tmp_path):
    assert main(["-i", str(raw), "-o", str(tmp_path / "out"), "--full"]) == 0
    kept = load(tmp_path / "out" / "train.json") | load(tmp_path / "out" / "val.json")
    assert kept == load(raw / "train_balanced.txt")
    assert load(tmp_path / "out" / "test.json") == load(raw / "test_balanced.txt")


def test_the_same_seed_gives_the_same_files(raw, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        preprocess(raw, tmp_path / name, seed)
    files = {name: (tmp_path / name / "val.json").read_bytes() for name in "abc"}
    assert files["a"] == files["b"] != files["c"]
    assert (tmp_path / "a" / "vocab.json").read_bytes() == (tmp_path / "c" / "vocab.json").read_bytes()


@given(count=st.integers(2, 200), fraction=st.floats(0.001, 0.999), seed=st.integers(0, 5))
def test_draw(count, fraction, seed):
    ids = [f"v{index}" for index in range(count)]
    drawn = draw_videos(ids, fraction, seed)
    assert drawn == draw_videos(reversed(ids), fraction, seed)
    assert len(drawn) == len(set(drawn)) == min(max(round(fraction * count), 1), count - 1)


def test_draw_is_the_same_on_every_machine():
    assert draw_videos([f"v{index}" for index in range(30)], 0.1, seed=0) == ["v20", "v9", "v21"]


def spoil_record(raw, change):
    records = load(raw / "test_balanced.txt")
    records["T3"].update(change)
    (raw / "test_balanced.txt").write_text(json.dumps(records), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": None}, "'answer' is None, not text"),
        ({"question": ""}, "'question' is empty"),
        ({"video_id": "../../x"}, "the video id '../../x' cannot be a file name"),
        ({"global": "exists"}, "'global' is 'exists', not a list of texts"),
        ({"steps": 1.5}, "'steps' is 1.5, not a number"),
        ({"direct_equiv": 7}, "'direct_equiv' is 7, not a question id or null"),
        ({"nc_seq": "1"}, "'nc_seq' is '1', not 0 or 1"),
        ({"ans_type": 3}, "'ans_type' is 3, not text"),
        ({"question": "\0"}, "'question' contains a NUL character"),
    ],
)
def test_a_wrong_value_is_named_and_nothing_is_written(raw, tmp_path, capsys, change, message):
    spoil_record(raw, change)
    assert main(["-i", str(raw), "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert f"error: {raw / 'test_balanced.txt'}, record 'T3': {message}" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", FIELDS)
def test_a_missing_field_is_named(raw, tmp_path, name):
    records = load(raw / "train_balanced.txt")
    del records["V3-3"][name]
    (raw / "train_balanced.txt").write_text(json.dumps(records), encoding="utf-8")
    with pytest.raises(InputError, match=rf"train_balanced\.txt, record 'V3-3': no '{name}'"):
        preprocess(raw, tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not a JSON object of records"),
        ("[]", "is not a JSON object of records"),
        ("{}", "has no questions"),
        ('{"a": {', "is not valid JSON"),
        ('{"a": {}}', "record 'a': no 'question'"),
    ],
)
@pytest.mark.parametrize("name", ["train_balanced.txt", "test_balanced.txt"])
def test_a_broken_file_is_named_and_older_output_kept(raw, tmp_path, content, message, name):
    out = tmp_path / "out"
    preprocess(raw, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    (raw / name).write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        preprocess(raw, out)
    assert str(raw / name) in str(caught.value)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize("name", ["train_balanced.txt", "test_balanced.txt"])
def test_a_missing_file(raw, tmp_path, name):
    (raw / name).unlink()
    with pytest.raises(InputError, match=rf"{name} does not exist"):
        preprocess(raw, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_repeated_question_id(raw, tmp_path):
    text = json.dumps(record(0, 1))
    (raw / "test_balanced.txt").write_text(f'{{"a": {text}, "b": {text}, "a": {text}}}')
    with pytest.raises(InputError, match=r"record 'a': the question id occurs twice"):
        preprocess(raw, tmp_path / "out")


def test_one_video_cannot_be_split(raw, tmp_path):
    (raw / "train_balanced.txt").write_text(json.dumps({"a": record(0, 1)}))
    with pytest.raises(InputError, match=r"questions on 1 video\(s\); a split by video needs at least 2"):
        preprocess(raw, tmp_path / "out")


@pytest.mark.parametrize("fraction", ["0", "1", "-0.1", "nan"])
def test_the_share_of_validation_videos(raw, tmp_path, capsys, fraction):
    assert main(["-i", str(raw), "-o", str(tmp_path / "out"), f"--val-fraction={fraction}"]) == 2
    assert "it must be above 0 and below 1" in capsys.readouterr().err
