"""Every fault that a data root can have is found, and nothing else is."""

import csv
import json
import shutil

import cv2
import h5py
import numpy as np
import pytest

from datasets.checking.report import Check
from datasets.checking.roots import check_qa, check_trm
from datasets.files import FRAME_SETTINGS
from preproc.check_data import main

WIDTH = 8
TRAIN = [("1", "what", "red", "a", 5), ("2", "what", "blue", "b", 5)]


def write_questions(root, split: str, *rows: tuple) -> None:
    with (root / f"{split}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("qid", "question", "answer", "video_id", "type"), *rows])


def change_features(root, video, value=None):
    with h5py.File(root / "anetqa.h5", "a") as file:
        file.pop(video, None)
        if value is not None:
            file[video] = value


def note_of_extraction(root):
    note = {"fps": 3.0, "counts": {f"v_{video}": 5 for video in "abc"}}
    (root / "frames" / FRAME_SETTINGS).write_text(json.dumps(note))


@pytest.fixture
def root(tmp_path):
    """A data root of ActivityNet-QA without a fault: videos a, b (training), c (validation), d (test)."""
    root = tmp_path / "anetqa"
    for video in "abcd":
        (root / "frames" / f"v_{video}").mkdir(parents=True)
        for number in range(1, 6):
            cv2.imwrite(f"{root}/frames/v_{video}/{number:04}.png", np.full((20, 30, 3), number, np.uint8))
        change_features(root, video, np.ones((4, WIDTH), np.float32))
    write_questions(root, "train", *TRAIN)
    write_questions(root, "val", ("3", "what", "red", "c", 5))
    write_questions(root, "test", ("4", "what", "green", "d", 5), ("5", "who", "red", "d", 5))
    (root / "vocab.json").write_text(json.dumps({"red": 0, "blue": 1}))
    return root


def found(checks: list[Check]) -> dict[str, list[tuple[str, str]]]:
    return {check.name: check.problems for check in checks if check.problems}


def test_a_root_without_a_fault(root):
    note_of_extraction(root)
    checks = check_qa("anetqa", root, WIDTH)
    assert found(checks) == {}
    said = " ".join(check.summary for check in checks)
    assert "train: 2 questions, 2 videos, val: 1" in said and "train 100.0%, val 100.0%, test 50.0%" in said
    assert main([str(root), "--task", "anetqa", "--width", str(WIDTH)]) == 0
    assert (root / "problems.csv").read_text() == "check,error,what,problem\n"


@pytest.mark.parametrize(
    ("break_it", "check", "thing", "message"),
    [
        (lambda r: (r / "vocab.json").write_text('{"red": 1}'), "vocabulary", "vocab.json", "the index 0"),
        (lambda r: write_questions(r, "train", *TRAIN, ("6", "y", "x", "a", 5)), "vocabulary", "'x'", "of 1 training"),
        (lambda r: write_questions(r, "val", TRAIN[0]), "question ids", "1", "a question of train and of val"),
        (lambda r: shutil.rmtree(r / "frames" / "v_b"), "frames", "v_b", "no directory"),
        (lambda r: (r / "frames/v_a/0002.png").write_bytes(b"\x89PNG"), "frames", "v_a/0002.png", "not a whole png"),
        (lambda r: (note_of_extraction(r), (r / "frames/v_a/0005.png").unlink()), "frames", "v_a", "4 frames, and 5"),
        (lambda r: change_features(r, "b"), "features", "b", "no features in"),
        (lambda r: change_features(r, "b", np.ones((3, 5), "f4")), "features", "b", "instead of float [clips, 8]"),
    ],
)
def test_a_fault(root, break_it, check, thing, message):
    break_it(root)
    problems = found([one for one in check_qa("anetqa", root, WIDTH) if one.fatal])
    assert list(problems) == [check]
    ((what, problem),) = problems[check]
    assert what == thing and message in problem
    assert main([str(root), "--task", "anetqa", "--width", str(WIDTH), "--list", str(root / "l.csv")]) == 1
    with (root / "l.csv").open() as file:
        assert [row["what"] for row in csv.DictReader(file) if row["error"] == "1"] == [thing]


def test_what_is_only_noted(root):
    write_questions(root, "train", *TRAIN, ("6", "what", "red", "a", 5))
    shutil.copytree(root / "frames" / "v_a", root / "frames" / "v_more")
    for number in range(5, 0, -1):  # as other programs number frames
        (root / f"frames/v_a/{number:04}.png").rename(root / f"frames/v_a/{219 + number}.png")
    assert found(check_qa("anetqa", root, WIDTH)) == {
        "repeated questions": [("6", "asks what 1 asks, with the same answer")],
        "frames without questions": [("v_more", "nothing asks about it")],
        "numbers of frames": [("v_a", "5 frames are numbered 220 to 224: fine if no frame is missing")],
    }


def test_captioned_collections(tmp_path):
    root = tmp_path / "vatex"
    root.mkdir()
    for split, videos in (("train", "01"), ("val", "2")):
        records = [{"videoID": video, "enCap": ["one", "two"]} for video in videos]
        (root / f"{split}.json").write_text(json.dumps(records))
    with h5py.File(root / "vatex.h5", "w") as file:
        file.update(dict.fromkeys("012", np.ones((2, WIDTH), np.float32)))
    assert check_trm(root, width=WIDTH)[0].summary == "train: 2 videos, 4 captions, val: 1 videos, 2 captions"
    assert main([str(tmp_path), "--task", "trm", "--datasets", "vatex", "--width", str(WIDTH)]) == 0
    with h5py.File(root / "vatex.h5", "a") as file:
        file.move("2", "more")
    (root / "val.json").write_text('[{"videoID": "1", "enCap": ["one"]}, {"videoID": "3", "enCap": ["two"]}]')
    faults = {"videos in two splits": "1", "features": "3", "features without captions": "more"}
    checks = found(check_trm(root, width=WIDTH)).items()
    assert {name.removeprefix("vatex: "): things[0][0] for name, things in checks} == faults


def test_only_what_a_run_reads(root):
    for name in ("anetqa.h5", "val.csv", "train.csv", "vocab.json"):  # the checkpoint may bring the vocabulary
        (root / name).unlink()
    arguments = [str(root), "--task", "anetqa"]
    assert (main(arguments), main([*arguments, "--splits", "test", "--no-features"])) == (1, 0)
    assert "vocabulary,0,vocab.json," in (root / "problems.csv").read_text()
