"""Folders of videos, and their names."""

import csv
import os
import unicodedata
from pathlib import Path

import pytest

from datasets.errors import InputError
from datasets.video import library as videos
from datasets.video.library import Problem, get_naming, list_videos


@pytest.mark.parametrize(
    ("dataset", "file", "video_id", "directory", "key"),
    [
        ("anetqa", "v_-abc.mp4", "-abc", "v_-abc", "-abc"),
        ("agqa", "001YG.mp4", "001YG", "001YG", "videos/001YG"),
        ("msrvttqa", "video7.mp4", "video7", "video7", "video7"),
        ("vatex", "v_abc_000001_000011.mp4", "v_abc_000001_000011", "v_abc_000001_000011", "v_abc_000001_000011"),
        ("tgif", "tumblr_x.gif", "tumblr_x", "tumblr_x", "tumblr_x"),
        # As macOS names files: the accent is a character of its own. Annotations have one character for both.
        ("anetqa", unicodedata.normalize("NFD", "v_caf\u00e9.mp4"), "caf\u00e9", "v_caf\u00e9", "caf\u00e9"),
    ],
)
def test_names_of_the_data_sets(tmp_path, dataset, file, video_id, directory, key):
    naming = get_naming(dataset)
    (tmp_path / file).touch()
    (video,), problems = list_videos(tmp_path, naming)
    assert video.video_id == video_id and not problems
    assert naming.frame_directory.format(video_id=video_id) == directory
    assert naming.feature_key.format(video_id=video_id) == key


def test_unknown_data_set():
    with pytest.raises(InputError, match=r"no dataset is called 'anetq' \(did you mean 'anetqa'\?\); known: anetqa"):
        get_naming("anetq")


def test_order_subfolders_and_names_that_cannot_be_used(tmp_path):
    for name in ("b/v_2.mp4", "v_10.MKV", "a/v_2.webm", "v_.mp4", "v_a:b.mp4", "notes.txt", "d.mp4/v_3.avi"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found, problems = list_videos(tmp_path, get_naming("anetqa"))
    assert [video.path.relative_to(tmp_path).as_posix() for video in found] == [
        "v_10.MKV",
        "a/v_2.webm",
        "d.mp4/v_3.avi",
    ]
    reasons = {problem.path.name: problem.reason for problem in problems}
    assert reasons["v_2.mp4"] == "the file is empty"
    assert reasons["v_.mp4"] == "its name leaves no video id"
    assert "cannot be a file name" in reasons["v_a:b.mp4"]


def test_names_as_people_have_them(tmp_path):
    names = {
        "Screenshot at 3.04.05\u202fPM",
        "no\u00a0break",
        "\u5168\u89d2\u3000\u7a7a\u767d",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "soft\u00adhyphen",
        "\u2066right to left\u2069",
        "\ufeffmark",
        "private \ue000",
        "line\u2028separator",
    }
    for name in names:
        (tmp_path / f"{name}.mp4").touch()
    for name in ("tab\t", "bell\x07", "next\x85line"):
        (tmp_path / f"{name}.mp4").touch()
    found, problems = list_videos(tmp_path, get_naming("agqa"))
    assert {video.video_id for video in found} == names
    assert len(problems) == 3 and all("control character" in problem.reason for problem in problems)


def test_what_systems_put_into_folders_is_no_video(tmp_path):
    for name in ("a.mp4", "._a.mp4", "#recycle/b.mp4", ".Trash-1000/files/c.mp4", "d/@eaDir/d.mp4", ".hidden.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found, problems = list_videos(tmp_path, get_naming("agqa"))
    assert [video.path.name for video in found] == [".hidden.mp4", "a.mp4"] and problems == []


def test_of_several_files_with_one_id_the_first_that_can_be_decoded_is_used(tmp_path, video):
    for name in ("a.avi", "b.avi", "b.mkv", "c.avi", "c.mkv"):
        (tmp_path / name).touch()
    for name in ("a.mp4", "a.ts", "c.mp4"):
        (tmp_path / name).write_bytes(video.read_bytes())
    found, problems = list_videos(tmp_path, get_naming("agqa"))
    assert [one.path.name for one in found] == ["a.mp4", "b.avi", "c.mp4"]
    reasons = {problem.path.name: problem.reason for problem in problems}
    assert reasons.keys() == {"a.avi", "a.ts", "b.mkv", "c.avi", "c.mkv"}
    assert reasons.pop("a.ts") == f"has the same video id as {tmp_path / 'a.mp4'}, which is used"
    assert set(reasons.values()) == {"the file is empty"}


def test_no_folder_and_no_videos(tmp_path):
    with pytest.raises(InputError, match="nowhere is not a folder; give the folder that holds the video files"):
        list_videos(tmp_path / "nowhere", get_naming("agqa"))
    with pytest.raises(InputError, match=r"holds no video \(looked for files that end in .3gp .avi"):
        list_videos(tmp_path, get_naming("agqa"))


def test_names_that_are_no_text(tmp_path, capsys):
    name = Path(os.fsdecode(b"/videos/\xff\xfe \xc3\xa4.mp4"))
    videos.report_problems([Problem(name, "why")], tmp_path / "failed.csv")
    (row,) = csv.DictReader((tmp_path / "failed.csv").read_text(encoding="utf-8").splitlines())
    assert row == {"file": r"/videos/\xff\xfe ä.mp4", "reason": "why"}
    assert r"  /videos/\xff\xfe ä.mp4: why" in capsys.readouterr().out


def test_the_list_of_problems(tmp_path, capsys):
    path = tmp_path / "failed.csv"
    videos.report_problems([Problem(tmp_path / "b, c.mp4", "second"), Problem(tmp_path / "a.mp4", "first")], path)
    assert path.read_text().splitlines() == ["file,reason", f"{tmp_path}/a.mp4,first", f'"{tmp_path}/b, c.mp4",second']
    assert "2 skipped or damaged" in capsys.readouterr().out
    videos.report_problems([], path)
    assert not path.exists()
