"""Folders of videos, their names, and reading them."""

import csv
import os
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.errors import InputError
from datasets.video import library as videos
from datasets.video.library import Problem, VideoError, VideoFrames, find_ffmpeg, get_naming, keep_settings, list_videos

from .video_files import ffmpeg, make_video


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("video") / "v_a.mp4", 40)


def decode_all(path) -> np.ndarray:
    """[frames, height, width, 3] RGB, by another decoder's interface."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (frame := capture.read()[1]) is not None:
        frames.append(frame[..., ::-1])
    return np.stack(frames)


def test_every_frame_as_another_reader_decodes_it(video, tmp_path):
    """At any rate, and turned as the file says."""
    variable = ("-vf", "select='not(mod(n,5))+lt(n,9)'", "-fps_mode", "vfr")
    for path in (video, make_video(tmp_path / "variable.mp4", 30, options=variable)):
        np.testing.assert_array_equal(np.stack(list(VideoFrames(path))), decode_all(path))
    ffmpeg("-display_rotation", 90, "-i", video, "-c", "copy", tmp_path / "turned.mp4")
    frames = iter(VideoFrames(tmp_path / "turned.mp4"))
    assert next(frames).shape == (96, 64, 3)
    frames.close()  # which ends the decoder


def program(folder: Path, *lines: str) -> Path:
    script = folder / "ffmpeg"
    script.write_text("\n".join(["#!/bin/sh", *lines]))
    script.chmod(0o755)
    return script


def test_a_decoder_that_gives_up_is_no_end(video, tmp_path, monkeypatch):
    """Half a video must not pass for a whole one, say because the decoder was killed for its memory."""
    with pytest.raises(VideoError, match=r"^cannot be read: No such file or directory$"):
        list(VideoFrames(tmp_path / "a.mp4"))
    script = program(tmp_path, f'"{find_ffmpeg()}" "$@" -frames:v 5', "kill -9 $$")
    monkeypatch.setattr(videos, "find_ffmpeg", lambda: str(script))
    with pytest.raises(VideoError, match="exit code -9"):
        list(VideoFrames(video))


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


def test_order_subfolders_and_names_that_cannot_be_used(tmp_path):
    names = ("b/v_2.mp4", "v_10.MKV", "a/v_2.webm", "v_.mp4", "v_a:b.mp4", "notes.txt", "d.mp4/v_3.avi")
    of_systems = ("._v_a.mp4", "#recycle/v_b.mp4", ".Trash-1000/files/v_c.mp4", "d/@eaDir/v_d.mp4")
    for name in (*names, *of_systems):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found, problems = list_videos(tmp_path, get_naming("anetqa"))
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
    found, problems = list_videos(tmp_path, get_naming("agqa"))
    assert {video.video_id for video in found} == names
    assert len(problems) == 3 and all("control character" in problem.reason for problem in problems)


def test_of_several_files_with_one_id_the_first_that_can_be_decoded_is_used(tmp_path, video):
    for name in ("a.avi", "b.avi", "b.mkv", "c.avi", "c.mkv"):
        (tmp_path / name).touch()
    for name in ("a.mp4", "a.ts", "c.mp4"):
        (tmp_path / name).write_bytes(video.read_bytes())
    found, problems = list_videos(tmp_path, get_naming("agqa"))
    assert [one.path.name for one in found] == ["a.mp4", "b.avi", "c.mp4"]
    reasons = {problem.path.name: problem.reason for problem in problems}
    assert reasons.pop("a.ts") == f"has the same video id as {tmp_path / 'a.mp4'}, which is used"
    assert reasons == dict.fromkeys(("a.avi", "b.mkv", "c.avi", "c.mkv"), "the file is empty")


def test_settings_are_kept(tmp_path):
    path = tmp_path / "s.json"
    for _ in range(2):
        keep_settings(path, {"fps": 3.0, "format": "png"}, "the frames")
    with pytest.raises(InputError, match=r"the frames were made with fps = 3.0, and this run has 2.0"):
        keep_settings(path, {"fps": 2.0, "format": "png"}, "the frames")
    path.write_text("[]")
    with pytest.raises(InputError, match=str(path)):
        keep_settings(path, {"fps": 3.0}, "the frames")


def test_other_mistakes_are_named(tmp_path):
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError, match=str(folder)):
            list_videos(folder, get_naming("agqa"))
    with pytest.raises(InputError, match=r"'anetq' \(did you mean 'anetqa'\?\)"):
        get_naming("anetq")


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


@pytest.mark.parametrize(("version", "used"), [("4.4.2-0ubuntu", False), ("5.1.6", True), ("n7.0", True)])
def test_an_old_ffmpeg_is_not_used(tmp_path, monkeypatch, version, used):
    script = program(tmp_path, f"echo ffmpeg version {version} Copyright")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    find_ffmpeg.cache_clear()
    try:
        assert (find_ffmpeg() == str(script)) is used
    finally:
        find_ffmpeg.cache_clear()
