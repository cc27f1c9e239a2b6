"""ActivityNet-QA's published files to ours: what is kept, what is dropped, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from datasets.annotations import read_vocabulary
from datasets.sources.anetqa import SOURCE
from preproc.preproc_anetqa import main, preprocess
from tests.kit.paths import ROOT

# split -> (answer, type) of its questions
ANSWERS = {
    "train": [("no", 3), ("yes", 3), ("red, dark", 4), ("yes", 3), ("red, dark", 4), ("once", 8), ("no", 3), ("no", 3)],
    "val": [("yes", 3), ("never seen", 8)],
    "test": [("NA", 0), ("no", 3), ("once", 8)],
}


def raw_records():
    """File name -> records, as published."""
    files = {}
    for split, answers in ANSWERS.items():
        ids = [f"v_{split}_{index}" for index in range(len(answers))]
        files[f"{split}_q.json"] = [
            {"video_name": f"{split}{index % 2}", "question": f'what,\n"{index}"', "question_id": qid}
            for index, qid in enumerate(ids)
        ]
        files[f"{split}_a.json"] = [
            {"answer": answer, "type": kind, "question_id": qid}
            for qid, (answer, kind) in zip(ids, answers, strict=True)
        ]
    return files


def write(folder, files):
    folder.mkdir(exist_ok=True)
    for name, records in files.items():
        (folder / name).write_text(json.dumps(records), encoding="utf-8")
    return folder


def test_vocabulary_and_splits(tmp_path):
    raw, out = write(tmp_path / "raw", raw_records()), tmp_path / "out"
    assert preprocess(raw, out) == {"train": 7, "val": 2, "test": 3, "vocabulary": 3}
    assert {path.name for path in out.iterdir()} == {"train.csv", "val.csv", "test.csv", "vocab.json"}
    assert read_vocabulary(out / "vocab.json") == ["no", "red, dark", "yes"]
    for split, answers in ANSWERS.items():
        table = SOURCE.read_questions(out / f"{split}.csv")
        kept = [i for i, (answer, _) in enumerate(answers) if split != "train" or answer != "once"]
        assert [table.qid(row) for row in range(len(table))] == [f"v_{split}_{index}" for index in kept]
        assert [table.answer(row) for row in range(len(table))] == [answers[index][0] for index in kept]
        assert [table.question(row) for row in range(len(table))] == [f'what,\n"{index}"' for index in kept]
        assert table.column("type").to_pylist() == [str(answers[index][1]) for index in kept]
        assert table.video_ids == [f"{split}0", f"{split}1"]


def test_answers_are_joined_by_id(tmp_path):
    files = raw_records()
    preprocess(write(tmp_path / "raw", files), tmp_path / "a")
    files["test_a.json"].reverse()
    preprocess(write(tmp_path / "raw", files), tmp_path / "b")
    assert (tmp_path / "a" / "test.csv").read_bytes() == (tmp_path / "b" / "test.csv").read_bytes()


def break_file(name, change):
    def apply(files):
        files[name][1].update(change)

    return apply


def drop_field(name, field):
    def apply(files):
        del files[name][1][field]

    return apply


def answer_nothing_twice(files):
    for index, record in enumerate(files["train_a.json"]):
        record["answer"] = str(index)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda files: files.pop("val_a.json"), "val_a.json does not exist"),
        (drop_field("val_q.json", "question"), "val_q.json, item 1: no 'question'"),
        (drop_field("val_q.json", "video_name"), "val_q.json, item 1: no 'video_name'"),
        (drop_field("val_q.json", "question_id"), "val_q.json, item 1: no 'question_id'"),
        (drop_field("train_a.json", "answer"), "train_a.json, item 1: no 'answer'"),
        (drop_field("train_a.json", "type"), "train_a.json, item 1: the type is None; there are 0 to 8"),
        (break_file("train_a.json", {"type": 9}), "item 1: the type is 9; there are 0 to 8"),
        (break_file("train_a.json", {"type": True}), "item 1: the type is True"),
        (break_file("test_a.json", {"answer": 3}), "test_a.json, item 1: 'answer' is 3, not text"),
        (break_file("test_q.json", {"question": ""}), "test_q.json, item 1: 'question' is empty"),
        (break_file("test_q.json", {"question": "a\0"}), "test_q.json, item 1: 'question' contains a NUL"),
        (
            break_file("test_q.json", {"question": "\ud800"}),
            "item 1: 'question' is '\\ud800', with half of a surrogate",
        ),
        (break_file("test_q.json", {"video_name": "../../x"}), "item 1: the video id '../../x' cannot be"),
        (
            break_file("test_q.json", {"question_id": "v_test_0"}),
            "test_q.json holds no records with an id each: 'v_test_0' occurs twice",
        ),
        (break_file("test_q.json", {"question_id": "other"}), "do not match: 2 id(s): 'other', 'v_test_1'"),
        (break_file("test_a.json", {"question_id": "other"}), "test_q.json and test_a.json of "),
        (lambda files: files["test_a.json"].pop(), "do not match: 1 id(s): 'v_test_2'"),
        (lambda files: files["test_q.json"].pop(), "do not match: 1 id(s): 'v_test_2'"),
        (lambda files: files["test_q.json"].clear(), "test_q.json holds no records with an id each"),
        (lambda files: files.update({"test_q.json": {}}), "test_q.json is not a JSON list of records"),
        (lambda files: files.update({"test_q.json": [1]}), "test_q.json, item 0: not an object"),
        (answer_nothing_twice, "train_a.json: no answer occurs 2 times"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(tmp_path, capsys, spoil, message):
    files = raw_records()
    spoil(files)
    raw = write(tmp_path / "raw", files)
    assert main(["-i", str(raw), "-o", str(tmp_path / "out" / "deep")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b'[{"a": 1}', "is not valid JSON"), (b'["\xff"]', "is not UTF-8 text"), (b"", "is not valid JSON")],
)
def test_broken_json_keeps_the_older_output(tmp_path, capsys, content, message):
    raw, out = write(tmp_path / "raw", raw_records()), tmp_path / "out"
    preprocess(raw, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    (raw / "test_q.json").write_bytes(content)
    assert main(["-i", str(raw), "-o", str(out)]) == 2
    error = capsys.readouterr().err
    assert f"{raw / 'test_q.json'} {message}" in error
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_command_from_another_folder_with_the_default_output(tmp_path):
    raw = write(tmp_path / "raw", raw_records())
    command = [sys.executable, ROOT / "preproc" / "preproc_anetqa.py", "-i", raw]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    *inputs, result = done.stdout.splitlines()
    assert result == "data/anetqa: train 7, val 2, test 3, vocabulary 3"
    assert len(inputs) == 6 and inputs[0] == f"{raw / 'train_q.json'}: not one of the published files known here"
    assert (tmp_path / "data" / "anetqa" / "vocab.json").exists()


@pytest.mark.skipif("DEST_ANETQA_RAW" not in os.environ, reason="set DEST_ANETQA_RAW to the published annotations")
def test_published_annotations(tmp_path):
    counts = preprocess(os.environ["DEST_ANETQA_RAW"], tmp_path)
    assert counts == {"train": 28_455, "val": 18_000, "test": 8_000, "vocabulary": 1_654}
    vocabulary = set(read_vocabulary(tmp_path / "vocab.json"))
    for split in ("train", "val", "test"):
        questions = json.loads(Path(os.environ["DEST_ANETQA_RAW"], f"{split}_q.json").read_text(encoding="utf-8"))
        answers = json.loads(Path(os.environ["DEST_ANETQA_RAW"], f"{split}_a.json").read_text(encoding="utf-8"))
        table = SOURCE.read_questions(tmp_path / f"{split}.csv")
        rows = [(table.qid(row), table.question(row), table.answer(row)) for row in range(len(table))]
        expected = [
            (question["question_id"], question["question"], answer["answer"])
            for question, answer in zip(questions, answers, strict=True)
            if split != "train" or answer["answer"] in vocabulary
        ]
        assert rows == expected
