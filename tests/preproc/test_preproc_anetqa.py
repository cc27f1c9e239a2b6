"""ActivityNet-QA's published files to ours: what is kept, what is dropped, and what is refused."""

import json
import os
from pathlib import Path

import pytest

from datasets.annotations import read_vocabulary
from datasets.sources.anetqa import SOURCE
from preproc.preproc_anetqa import main, preprocess
from tests.kit.paths import ROOT
from tests.kit.processes import run_python

from .conftest import contents

# split -> (answer, type) of its questions
ANSWERS = {
    "train": [("no", 3), ("yes", 3), ("red, dark", 4), ("yes", 3), ("red, dark", 4), ("once", 8), ("no", 3), ("no", 3)],
    "val": [("yes", 3), ("never seen", 8)],
    "test": [("NA", 0), ("no", 3), ("once", 8)],
}


@pytest.fixture
def files() -> dict[str, list]:
    """File name -> records, as published."""
    found = {}
    for split, answers in ANSWERS.items():
        found[f"{split}_q.json"] = [
            {"video_name": f"{split}{i % 2}", "question": f'what,\n"{i}"', "question_id": f"v_{split}_{i}"}
            for i in range(len(answers))
        ]
        found[f"{split}_a.json"] = [
            {"answer": answer, "type": kind, "question_id": f"v_{split}_{i}"}
            for i, (answer, kind) in enumerate(answers)
        ]
    return found


def write(folder, files):
    folder.mkdir(exist_ok=True)
    for name, records in files.items():
        (folder / name).write_text(json.dumps(records), encoding="utf-8")
    return folder


def rows(path):
    table = SOURCE.read_questions(path)
    return [(table.qid(row), table.question(row), table.answer(row)) for row in range(len(table))]


def test_vocabulary_and_splits(files, tmp_path):
    files["test_a.json"].reverse()  # they are joined by id
    raw, out = write(tmp_path / "raw", files), tmp_path / "data" / "anetqa"
    done = run_python(ROOT / "preproc" / "preproc_anetqa.py", "-i", raw, cwd=tmp_path)
    *inputs, result = done.stdout.splitlines()
    assert result == "data/anetqa: train 7, val 2, test 3, vocabulary 3"
    assert len(inputs) == 6 and inputs[0] == f"{raw / 'train_q.json'}: not one of the published files known here"
    assert {path.name for path in out.iterdir()} == {"train.csv", "val.csv", "test.csv", "vocab.json"}
    assert read_vocabulary(out / "vocab.json") == ["no", "red, dark", "yes"]
    for split, answers in ANSWERS.items():
        kept = [(i, *one) for i, one in enumerate(answers) if split != "train" or one[0] != "once"]
        assert rows(out / f"{split}.csv") == [(f"v_{split}_{i}", f'what,\n"{i}"', answer) for i, answer, _ in kept]
        table = SOURCE.read_questions(out / f"{split}.csv")
        assert table.column("type").to_pylist() == [str(kind) for *_, kind in kept]
        assert table.video_ids == [f"{split}0", f"{split}1"]


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("train_a.json", {"answer": 3}, "train_a.json, item 1: 'answer' is 3, not text"),
        ("train_a.json", {"type": 9}, "train_a.json, item 1: the type is 9; there are 0 to 8"),
        ("train_a.json", {"type": True}, "train_a.json, item 1: the type is True"),
        ("val_q.json", {"question": ""}, "val_q.json, item 1: 'question' is empty"),
        ("test_q.json", {"question": "a\0"}, "test_q.json, item 1: 'question' contains a NUL"),
        ("test_q.json", {"question": "\ud800"}, "item 1: 'question' is '\\ud800', with half of a surrogate"),
        ("test_q.json", {"video_name": "../../x"}, "item 1: the video id '../../x' cannot be"),
        ("test_q.json", {"question_id": "v_test_0"}, "no records with an id each: 'v_test_0' occurs twice"),
        ("test_q.json", {"question_id": "other"}, "do not match: 2 id(s): 'other', 'v_test_1'"),
        ("test_a.json", [{"answer": "no", "type": 3, "question_id": "v_test_0"}], "do not match: 2 id(s): 'v_test_1'"),
        ("test_q.json", [], "test_q.json holds no records with an id each"),
        ("test_q.json", [{"video_name": "a", "question_id": "b"}], "test_q.json, item 0: no 'question'"),
        ("test_q.json", [1], "test_q.json, item 0: not an object"),
        ("test_q.json", b'[{"a": 1}', "test_q.json is not valid JSON"),
        ("test_q.json", b'["\xff"]', "test_q.json is not UTF-8 text"),
        ("train_a.json", None, "train_a.json: no answer occurs 2 times"),
    ],
)
def test_bad_input_is_one_line_and_keeps_the_older_output(files, tmp_path, refused, name, change, said):
    raw, out = write(tmp_path / "raw", files), tmp_path / "out"
    preprocess(raw, out)
    before = contents(out)
    if isinstance(change, dict):
        files[name][1].update(change)
    elif change is None:
        files[name] = [answer | {"answer": str(i)} for i, answer in enumerate(files[name])]
    else:
        files[name] = change if isinstance(change, list) else []
    write(raw, files)
    if isinstance(change, bytes):
        (raw / name).write_bytes(change)
    assert said in refused(main, "-i", raw, "-o", out)
    assert contents(out) == before


@pytest.mark.skipif("DEST_ANETQA_RAW" not in os.environ, reason="set DEST_ANETQA_RAW to the published annotations")
def test_published_annotations(tmp_path):
    raw = Path(os.environ["DEST_ANETQA_RAW"])
    counts = preprocess(raw, tmp_path)
    assert counts == {"train": 28_455, "val": 18_000, "test": 8_000, "vocabulary": 1_654}
    vocabulary = set(read_vocabulary(tmp_path / "vocab.json"))
    for split in ("train", "val", "test"):
        questions, answers = (json.loads((raw / f"{split}_{kind}.json").read_text("utf-8")) for kind in "qa")
        assert rows(tmp_path / f"{split}.csv") == [
            (question["question_id"], question["question"], answer["answer"])
            for question, answer in zip(questions, answers, strict=True)
            if split != "train" or answer["answer"] in vocabulary
        ]
