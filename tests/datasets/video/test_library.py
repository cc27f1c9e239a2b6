"""Folders of videos, and their names."""

import csv
import os
import unicodedata
from pathlib import Path

import pytest

from datasets.errors import InputError
from datasets.sources import get_source
from datasets.video import library as videos
from datasets.video.library import Problem, list_videos


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
    naming = get_source(dataset)
    (tmp_path / file).touch()
    (video,), problems = list_videos(tmp_path, naming)
    assert video.video_id == video_id and not problems
    assert naming.frame_directory.format(video_id=video_id) == directory
    assert naming.feature_key.format(video_id=video_id) == key


def test_order_subfolders_and_names_that_cannot_be_used(tmp_path):
    names = ("b/v_2.mp4", "v_10.MKV", "a/v_2.webm", "v_.mp4", "v_a:b.mp4", "notes.txt", "d.mp4/v_3.avi")
    of_systems = ("._v_a.mp4", "#recycle/v_b.mp4", ".Trash-1000/files/v_c.mp4", "d/@eaDir/v_d.mp4")
    for name in (*names, *of_systems):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found, problems = list_videos(tmp_path, get_source("anetqa"))
    assert [str(video.path.relative_to(tmp_path)) for video in found] == ["v_10.MKV", "a/v_2.webm", "d.mp4/v_3.avi"]
    reasons = {problem.path.name: problem.reason for problem in problems}
    assert reasons.pop("v_2.mp4") == "the file is empty"
    assert reasons.pop("v_.mp4") == "its name leaves no video id"
    assert reasons.keys() == {"v_a:b.mp4"}


def test_names_as_people_have_them(tmp_path):
    names = {"Screenshot at 3.04.05\u202fPM", "\u5168\u89d2\u3000\u7a7a\u767d", "\U0001f468\u200d\U0001f469", ".hidden"}
    names |= {"\u0645\u06cc\u200c\u062e", "soft\u00adhyphen", "\ufeffmark", "private \ue000", "line\u2028separator"}
    for name in (*names, "tab\t", "bell\x07", "next\x85line"):
        (tmp_path / f"{name}.mp4").touch()
    found, problems = list_videos(tmp_path, get_source("agqa"))
    assert {video.video_id for video in found} == names
    assert len(problems) == 3 and all("control character" in problem.reason for problem in problems)


def test_of_several_files_with_one_id_the_first_that_can_be_decoded_is_used(tmp_path, video):
    for name in ("a.avi", "b.avi", "b.mkv", "c.avi", "c.mkv"):
        (tmp_path / name).touch()
    for name in ("a.mp4", "a.ts", "c.mp4"):
        (tmp_path / name).write_bytes(video.read_bytes())
    found, problems = list_videos(tmp_path, get_source("agqa"))
    assert [one.path.name for one in found] == ["a.mp4", "b.avi", "c.mp4"]
    reasons = {problem.path.name: problem.reason for problem in problems}
    assert reasons.pop("a.ts") == f"has the same video id as {tmp_path / 'a.mp4'}, which is used"
    assert reasons == dict.fromkeys(("a.avi", "b.mkv", "c.avi", "c.mkv"), "the file is empty")


def test_other_mistakes_are_named(tmp_path):
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError, match=str(folder)):
            list_videos(folder, get_source("agqa"))
    with pytest.raises(InputError, match=r"'anetq' \(did you mean 'anetqa'\?\)"):
        get_source("anetq")


def test_the_list_of_problems(tmp_path, capsys):
    """Of names that are no text as well."""
    path = tmp_path / "failed.csv"
    name = Path(os.fsdecode(b"/videos/\xff\xfe \xc3\xa4.mp4"))
    videos.report_problems([Problem(name, "why, then"), Problem(Path("/a.mp4"), "first")], path)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    shown = r"/videos/\xff\xfe ä.mp4"
    assert rows == [{"file": "/a.mp4", "reason": "first"}, {"file": shown, "reason": "why, then"}]
    assert f"  {shown}: why, then" in capsys.readouterr().out
    videos.report_problems([], path)
    assert not path.exists()
