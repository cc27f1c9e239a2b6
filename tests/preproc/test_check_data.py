"""Every fault that a data root can have is found, and nothing else is."""

import csv
import errno
import json
import os
import re
import shutil
import unicodedata

import cv2
import h5py
import numpy as np
import pytest

from datasets.checking.report import Check
from datasets.checking.roots import check_qa, check_trm
from datasets.files import FRAME_SETTINGS
from preproc import check_data as script

WIDTH = 8
NUMBERS = ("--width", "--max-video-len", "--jobs")
NOT_FOR_TRM = (["--splits", "test"], ["--no-features"], ["--quick"], ["--jobs", "2"])


def write_questions(root, split: str, rows: list[tuple]) -> None:
    with (root / f"{split}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("qid", "question", "answer", "video_id", "type"), *rows])


@pytest.fixture
def root(tmp_path):
    """A data root of ActivityNet-QA without a fault: videos a, b (training), c (validation), d (test)."""
    root = tmp_path / "anetqa"
    draw = np.random.default_rng(0)
    for video in "abcd":
        (root / "frames" / f"v_{video}").mkdir(parents=True)
        for number in range(1, 6):
            frame = draw.integers(0, 256, (20, 30, 3), np.uint8)
            cv2.imwrite(str(root / "frames" / f"v_{video}" / f"{number:04d}.png"), frame)
    with h5py.File(root / "anetqa.h5", "w") as file:
        for video in "abcd":
            file[video] = draw.standard_normal((4, WIDTH)).astype(np.float32)
    write_questions(root, "train", [("1", "what", "red", "a", 5), ("2", "what", "blue", "b", 5)])
    write_questions(root, "val", [("3", "what", "red", "c", 5)])
    write_questions(root, "test", [("4", "what", "green", "d", 5), ("5", "who", "red", "d", 5)])
    (root / "vocab.json").write_text(json.dumps({"red": 0, "blue": 1}))
    return root


def found(checks: list[Check]) -> dict[str, list[tuple[str, str]]]:
    return {check.name: check.problems for check in checks if check.problems}


def test_a_root_without_a_fault(root, capsys):
    checks = check_qa("anetqa", root, WIDTH)
    assert found(checks) == {}
    summary = {check.name: check.summary for check in checks}
    assert summary["annotations"].startswith("train: 2 questions, 2 videos, val: 1")
    assert summary["vocabulary"] == "answers covered: train 100.0%, val 100.0%, test 50.0%"
    assert summary["frames"] == "5 to 5 frames per video, 5 in the middle"
    assert summary["features"] == "4 to 4 clips per video, 4 in the middle"
    assert script.main([str(root), "--task", "anetqa", "--width", str(WIDTH)]) == 0
    assert (root / "problems.csv").read_text() == "check,error,what,problem\n"


def remove_frames(root):
    shutil.rmtree(root / "frames" / "v_c")


def empty_directory(root):
    remove_frames(root)
    (root / "frames" / "v_c").mkdir()


def truncate_frame(root):
    path = root / "frames" / "v_a" / "0002.png"
    path.write_bytes(path.read_bytes()[:300])


def remove_a_frame(root):
    (root / "frames" / "v_a" / "0002.png").unlink()


def remove_all_frames(root):
    shutil.rmtree(root / "frames")


def change_features(root, video, value):
    with h5py.File(root / "anetqa.h5", "a") as file:
        del file[video]
        if value is not None:
            file[video] = value


def unknown_answer(root):
    write_questions(root, "train", [("1", "what", "red", "a", 5), ("2", "what", "mauve", "b", 5)])


def share_a_question(root):
    write_questions(root, "val", [("1", "what", "red", "c", 5)])


@pytest.mark.parametrize(
    ("break_it", "check", "thing", "message"),
    [
        (lambda r: (r / "val.csv").unlink(), "annotations", "val", "val.csv does not exist"),
        (lambda r: (r / "test.csv").write_text("qid,answer\n"), "annotations", "test", "has no column 'question'"),
        (
            lambda r: (r / "vocab.json").write_text('{"red": 1}'),
            "vocabulary",
            "vocab.json",
            "no answer has the index 0",
        ),
        (unknown_answer, "vocabulary", "'mauve'", "not in the vocabulary, answer of 1 training questions"),
        (share_a_question, "question ids", "1", "a question of train and of val"),
        (remove_frames, "frames", "v_c", "no directory"),
        (empty_directory, "frames", "v_c", "no frames (*.png or *.jpg)"),
        (truncate_frame, "frames", "v_a/0002.png", "not a whole png or jpg"),
        (remove_all_frames, "frames", "frames", "cannot list the frames"),
        (lambda r: (r / "anetqa.h5").unlink(), "features", "anetqa.h5", "does not exist"),
        (lambda r: (r / "anetqa.h5").write_bytes(b"no"), "features", "anetqa.h5", "not an HDF5 file that can be read"),
        (lambda r: change_features(r, "b", None), "features", "b", "no features in"),
        (lambda r: change_features(r, "b", np.ones((3, 5), "f4")), "features", "b", "instead of float [clips, 8]"),
        (lambda r: change_features(r, "b", np.ones((0, 8), "f4")), "features", "b", "no clips"),
        (lambda r: change_features(r, "b", np.full((2, 8), np.nan)), "features", "b", "NaN"),
    ],
)
def test_a_fault(root, capsys, break_it, check, thing, message):
    break_it(root)
    problems = found([one for one in check_qa("anetqa", root, WIDTH) if one.fatal])
    assert list(problems) == [check]
    ((what, problem),) = problems[check]
    assert what == thing and message in problem
    assert script.main([str(root), "--task", "anetqa", "--width", str(WIDTH), "--list", str(root / "l.csv")]) == 1
    with (root / "l.csv").open() as file:
        assert [row["what"] for row in csv.DictReader(file) if row["error"] == "1"] == [thing]


def test_what_is_only_noted(root):
    write_questions(
        root, "train", [("1", "what", "red", "a", 5), ("2", "what", "blue", "b", 5), ("6", "what", "red", "a", 5)]
    )
    shutil.copytree(root / "frames" / "v_a", root / "frames" / "v_more")
    with h5py.File(root / "anetqa.h5", "a") as file:
        file["more"] = np.ones((2, WIDTH), np.float32)
    checks = check_qa("anetqa", root, WIDTH, max_len=3)
    assert found(checks) == {
        "repeated questions": [("6", "asks what 1 asks, with the same answer")],
        "frames without questions": [("v_more", "nothing asks about it")],
        "features without questions": [("more", "nothing asks about it")],
    }
    assert not any(check.failed for check in checks)
    assert "100.0% have more than 3" in {check.name: check.summary for check in checks}["features"]


def test_quick_decodes_few(root):
    truncate_frame(root)
    assert not found(check_qa("anetqa", root, WIDTH, quick=True))
    (root / "frames" / "v_a" / "0005.png").write_bytes(b"")
    assert found(check_qa("anetqa", root, WIDTH, quick=True))["frames"][0][0] == "v_a/0005.png"


@pytest.fixture
def captioned(tmp_path):
    for name, records in {
        "vatex": [{"videoID": f"{i}", "enCap": ["one", "two"]} for i in range(3)],
        "tgif": [{"vid": f"{i}", "cap": "three"} for i in range(3)],
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.json").write_text(json.dumps(records[:2]))
        (tmp_path / name / "val.json").write_text(json.dumps(records[2:]))
        with h5py.File(tmp_path / name / f"{name}.h5", "w") as file:
            for i in range(3):
                file[str(i)] = np.ones((2, WIDTH), np.float32)
    return tmp_path


def test_captioned_collections(captioned):
    checks = check_trm(captioned, width=WIDTH)
    assert found(checks) == {}
    assert checks[0].summary == "train: 2 videos, 4 captions, val: 1 videos, 2 captions"
    assert len(check_trm(captioned / "tgif", width=WIDTH)) == len(checks) // 2
    with h5py.File(captioned / "tgif" / "tgif.h5", "a") as file:
        del file["1"]
        file["more"] = np.ones((2, WIDTH), np.float32)
    (captioned / "vatex" / "val.json").write_text(json.dumps([{"videoID": "1", "enCap": ["x"]}]))
    assert found(check_trm(captioned, width=WIDTH)) == {
        "vatex: videos in two splits": [("1", "in train and in val")],
        "vatex: features without captions": [("2", "nothing asks about it")],
        "tgif: features": [("1", f"no features in {captioned / 'tgif' / 'tgif.h5'}")],
        "tgif: features without captions": [("more", "nothing asks about it")],
    }


def test_a_collection_that_is_missing(captioned, capsys):
    shutil.rmtree(captioned / "tgif")
    problems = found(check_trm(captioned, width=WIDTH))
    assert problems.keys() == {"tgif: annotations", "tgif: features"}
    assert "train.json does not exist" in problems["tgif: annotations"][0][1]
    arguments = [str(captioned), "--task", "trm", "--width", str(WIDTH)]
    assert script.main(arguments) == 1
    assert script.main([*arguments, "--datasets", "vatex"]) == 0
    capsys.readouterr()
    assert script.main([*arguments, "--datasets", "vatx"]) == 2
    assert "did you mean 'vatex'?" in capsys.readouterr().err


def test_only_what_a_run_reads(root, capsys):
    (root / "anetqa.h5").unlink()
    (root / "val.csv").unlink()
    (root / "train.csv").unlink()
    arguments = [str(root), "--task", "anetqa"]
    assert script.main(arguments) == 1
    assert script.main([*arguments, "--splits", "test", "--no-features"]) == 0
    (root / "vocab.json").unlink()  # the checkpoint may bring it
    assert script.main([*arguments, "--splits", "test", "--no-features"]) == 0
    with (root / "problems.csv").open() as file:
        (note,) = (row for row in csv.DictReader(file) if row["check"] == "vocabulary")
    assert (note["error"], note["what"]) == ("0", "vocab.json")
    assert "vocab.json does not exist: needed unless the checkpoint brings its own" in note["problem"]
    write_questions(root, "val", [("3", "what", "red", "c", 5)])
    for splits in (["val"], ["val", "test"]):
        assert script.main([*arguments, "--splits", *splits, "--no-features"]) == 1
    (root / "vocab.json").write_text("[]")
    assert script.main([*arguments, "--splits", "test", "--no-features"]) == 1
    capsys.readouterr()
    assert script.main([*arguments, "--splits", "tset"]) == 2
    assert "--splits 'tset' (did you mean 'test'?): anetqa has train, val, test" in capsys.readouterr().err


@pytest.mark.parametrize("columns", ("80", "300"))
def test_the_table_is_whole_in_a_pipe(root, capsys, monkeypatch, columns):
    """However long the paths; and no line of it is longer than 120 characters."""
    monkeypatch.setenv("COLUMNS", columns)
    deep = root / ("long" * 30) / "anetqa"
    deep.parent.mkdir()
    remove_frames(root)
    shutil.copytree(root, deep, ignore=shutil.ignore_patterns("long*"))
    write_questions(deep, "train", [("1", "what", "red", "a", 5), ("2", "what", "blue", "absent\u3000" + "n" * 99, 5)])
    assert script.main([str(deep), "--task", "anetqa", "--width", str(WIDTH)]) == 1
    table = [line for line in capsys.readouterr().out.splitlines() if line[0] in "┏┃┡│└"]
    assert max(map(len, table)) <= 120
    cells = [line.strip("│").split("│") for line in table if line[0] == "│"]
    rows = {row[1].strip() for row in cells} - {""}
    assert {"annotations", "frames without questions", "features without questions"} <= rows
    text = re.sub(r"\s", "", "".join(row[4] for row in cells))
    assert f"e.g.v_absent{'n' * 99}:nodirectory{deep}/frames/v_absent{'n' * 99}" in text


def test_a_read_only_root(root, capsys, monkeypatch):
    """The verdict is what counts, also where the list of problems cannot be written."""

    def read_only(*args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    arguments = [str(root), "--task", "anetqa", "--width", str(WIDTH)]
    with monkeypatch.context() as patch:
        patch.setattr("datasets.files.tempfile.mkstemp", read_only)
        assert script.main(arguments) == 0
        said = capsys.readouterr().out
        assert "features without questions" in said
        assert said.splitlines()[-1] == (
            f"fine; the list is not written: cannot write {root}/problems.csv: Read-only file system; "
            "name another place with --list FILE"
        )
        remove_frames(root)
        assert script.main([*arguments, "--list", "/proc/none/l.csv"]) == 1
    assert "1 problems; the list is not written: cannot write /proc/none/l.csv" in capsys.readouterr().out


def number_from(root, first: int) -> None:
    folder = root / "frames" / "v_a"
    for path in sorted(folder.iterdir(), reverse=first > 1):
        path.rename(path.with_name(f"{int(path.stem) - 1 + first:04d}.png"))


@pytest.mark.parametrize(
    ("change", "numbers"),
    [
        (lambda r: number_from(r, 220), "220 to 224"),
        (lambda r: number_from(r, 0), "0 to 4"),
        (remove_a_frame, "1 to 5"),
    ],
)
def test_frames_of_elsewhere_may_have_any_numbers(root, change, numbers):
    change(root)
    checks = check_qa("anetqa", root, WIDTH)
    ((video, note),) = found(checks)["numbers of frames"]
    assert video == "v_a"
    assert f"frames are numbered {numbers}: fine if no frame is missing" in note
    assert not any(check.failed for check in checks)


def test_frames_of_ours_that_begin_late_are_extracted_again(root):
    """As an older version left them where it was started twice."""
    (root / "frames" / FRAME_SETTINGS).write_text('{"fps": 3.0}')
    for path in sorted((root / "frames" / "v_a").glob("*.png"), reverse=True):
        path.rename(path.with_name(f"{int(path.stem) + 219:04}.png"))
    checks = check_qa("anetqa", root, WIDTH)
    ((video, said),) = found(checks)["frames"]
    assert video == "v_a" and "numbered 220 to" in said and "extract them again" in said
    assert any(check.failed for check in checks)


def test_videos_on_other_disks(root, tmp_path):
    """Folders of frames that are links, and features that are joined by links."""
    (root / "frames" / "v_a").rename(tmp_path / "other disk")
    (root / "frames" / "v_a").symlink_to(tmp_path / "other disk")
    (root / "anetqa.h5").rename(tmp_path / "shard.h5")
    with h5py.File(root / "anetqa.h5", "w") as file:
        for video in "abcd":
            file[video] = h5py.ExternalLink(str(tmp_path / "shard.h5"), video)
    assert found(check_qa("anetqa", root, WIDTH)) == {}


def test_fewer_frames_than_were_extracted(root):
    note = {"fps": 3.0, "counts": {f"v_{video}": 5 for video in "abc"}}
    (root / "frames" / ".extract_frames.json").write_text(json.dumps(note))
    assert found(check_qa("anetqa", root, WIDTH)) == {}
    for number in (4, 5):
        (root / "frames" / "v_a" / f"{number:04d}.png").unlink()
    problem = "3 frames, and 5 were extracted; extract them again"
    assert found(check_qa("anetqa", root, WIDTH)) == {"frames": [("v_a", problem)]}


def test_what_systems_put_there_is_no_content(root):
    for name in ("lost+found", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information"):
        (root / "frames" / name / "v_a").mkdir(parents=True)
        (root / "frames" / "v_a" / name).mkdir()
    for folder in (root / "frames", root / "frames" / "v_a"):
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._0001.png"):
            (folder / name).write_bytes(b"x")
    assert found(check_qa("anetqa", root, WIDTH)) == {}


@pytest.mark.parametrize(("asked", "there"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_spelt_otherwise(root, asked, there):
    name = "\uac00 Caf\u00e9 \u1ec7"
    write_questions(root, "val", [("3", "what", "red", unicodedata.normalize(asked, name), 5)])
    stored = unicodedata.normalize(there, name)
    (root / "frames" / "v_c").rename(root / "frames" / f"v_{stored}")
    with h5py.File(root / "anetqa.h5", "a") as file:
        file.move("c", stored)
    assert found(check_qa("anetqa", root, WIDTH)) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(([".", "--task", "anetqa", option, "0"], f"{option} 0 must be at least 1") for option in NUMBERS),
        ([".", "--task", "agqa", "--jobs", "-1"], "--jobs -1 must be at least 1"),
        *(([".", "--task", "trm", *words], f"{words[0]} says nothing about --task trm") for words in NOT_FOR_TRM),
        ([".", "--task", "anetqa", "--datasets", "tgif"], "--datasets says nothing about --task anetqa: leave it out"),
        (["nowhere", "--task", "anetqa"], "nowhere is not a folder; give the data root, e.g. data/anetqa"),
        ([".", "--task", "anet"], "--task 'anet' (did you mean 'anetqa'?): known are anetqa, agqa, msrvttqa, trm"),
    ],
)
def test_bad_arguments(capsys, arguments, message):
    assert script.main(arguments) == 2
    assert message in capsys.readouterr().err
