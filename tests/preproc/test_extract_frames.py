"""Frames against the plain ffmpeg command, and all that a large folder of videos can hold."""

import csv
import json
import subprocess

import cv2
import numpy as np
import pytest

from datasets.errors import InputError
from datasets.frames import FrameReader
from datasets.video.ffmpeg import find_ffmpeg
from datasets.video.library import Video, list_videos, shown
from preproc import extract_frames as script
from preproc.extract_frames import FrameSettings, extract_frames
from tests.datasets.video.video_files import ffmpeg, make_broken_videos, make_video


def plain_frames(video, folder) -> dict[str, np.ndarray]:
    """What the command of the published instructions gives."""
    folder.mkdir()
    subprocess.run([find_ffmpeg(), "-v", "error", "-i", video, "-vf", "fps=3", folder / "%04d.png"], check=True)
    return read(folder)


def read(folder) -> dict[str, np.ndarray]:
    return {path.name: cv2.imread(str(path)) for path in folder.iterdir()}


def snapshot(folder) -> dict[str, tuple]:
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("frames", (5, 12, 13, 25, 74, 75, 76))
@pytest.mark.parametrize("rate", (25, 7))
def test_frames_are_those_of_ffmpeg(tmp_path, frames, rate):
    video = make_video(tmp_path / "videos" / "v_a.mp4", frames, rate=rate)
    extract_frames(tmp_path / "videos", tmp_path / "frames", "anetqa")
    expected = plain_frames(video, tmp_path / "plain")
    found = read(tmp_path / "frames" / "v_a")
    assert sorted(found) == sorted(expected) == [f"{i + 1:04d}.png" for i in range(len(expected))]
    for name, frame in expected.items():
        np.testing.assert_array_equal(found[name], frame)


def test_variable_rate_late_start_and_turned(tmp_path):
    folder = tmp_path / "videos"
    make_video(folder / "vfr.mp4", 40, options=("-vf", "select='lt(n,20)+not(mod(n,9))'", "-fps_mode", "vfr"))
    ffmpeg("-display_rotation", 90, "-i", make_video(tmp_path / "a.mp4", 50), "-c", "copy", folder / "turned.mp4")
    ffmpeg("-itsoffset", 2, "-i", tmp_path / "a.mp4", "-c", "copy", folder / "late.mkv")
    extract_frames(folder, tmp_path / "frames", "agqa")
    for video in folder.iterdir():
        expected = plain_frames(video, tmp_path / f"plain {video.stem}")
        found = read(tmp_path / "frames" / video.stem)
        assert sorted(found) == sorted(expected)
        assert all((found[name] == expected[name]).all() for name in expected)


def test_broken_videos_stop_nothing(tmp_path, capsys):
    expected = make_broken_videos(tmp_path / "videos")
    problems = extract_frames(tmp_path / "videos", tmp_path / "frames", "agqa", FrameSettings(short_side=32))
    reasons = {shown(problem.path).rpartition("/")[2]: problem.reason for problem in problems}
    assert reasons.keys() == {name for name, reason in expected.items() if reason}
    assert all(expected[name] in reason for name, reason in reasons.items())
    used = {name for name, reason in expected.items() if not reason or "used, but" in reason}
    assert {path.name for path in (tmp_path / "frames").iterdir()} == {
        ".extract_frames.json",
        *(name.rpartition(".")[0] for name in used),
    }
    assert len(list((tmp_path / "frames" / "one frame").iterdir())) == 1
    with (tmp_path / "frames.failed.csv").open() as file:
        assert {(row["file"].rpartition("/")[2], row["reason"]) for row in csv.DictReader(file)} == set(reasons.items())
    assert "the file is empty" in capsys.readouterr().out
    assert any("used, but damaged" in reason for reason in reasons.values())

    listed = (tmp_path / "frames.failed.csv").read_bytes()
    again = extract_frames(tmp_path / "videos", tmp_path / "frames", "agqa", FrameSettings(short_side=32))
    assert sorted(again, key=str) == sorted(problems, key=str)  # of those that are there already, too
    assert (tmp_path / "frames.failed.csv").read_bytes() == listed


def test_no_video_that_can_be_decoded(tmp_path, capsys):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"<html>not found</html>")
    assert script.main([str(tmp_path / "videos"), str(tmp_path / "frames"), "--dataset", "agqa"]) == 2
    assert "none of the 1 videos in" in capsys.readouterr().err
    assert "a.mp4" in (tmp_path / "frames.failed.csv").read_text()


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [("96x64", 32, (32, 48)), ("64x97", 32, (48, 32)), ("97x63", 40, (40, 61)), ("96x64", 200, (64, 96))],
)
def test_short_side(tmp_path, size, short_side, expected):
    make_video(tmp_path / "videos" / "a.mp4", 30, size=size, options=("-pix_fmt", "yuv444p"))
    extract_frames(tmp_path / "videos", tmp_path / "frames", "agqa", FrameSettings(format="jpg", short_side=short_side))
    assert cv2.imread(str(tmp_path / "frames" / "a" / "0001.jpg")).shape[:2] == expected


@pytest.mark.parametrize("colours", ("bt709", "smpte170m"))
def test_jpg_is_close_and_its_quality_counts(tmp_path, colours):
    options = ("-pix_fmt", "yuv444p", "-vf", f"scale=out_color_matrix={colours}", "-colorspace", colours)
    make_video(tmp_path / "videos" / "a.mp4", 30, size="320x240", options=options)
    for name, settings in {
        "png": FrameSettings(),
        "high": FrameSettings(format="jpg"),
        "low": FrameSettings(format="jpg", quality=30),
    }.items():
        extract_frames(tmp_path / "videos", tmp_path / name, "agqa", settings)
    png = FrameReader(tmp_path / "png", 2, image_size=240).read("a").astype(int)
    error = {
        name: np.abs(FrameReader(tmp_path / name, 2, image_size=240).read("a") - png).mean() for name in ("high", "low")
    }
    assert error["high"] < 1.5 < error["low"]


def test_a_second_run_does_what_is_left(tmp_path, capsys):
    make_video(tmp_path / "videos" / "a.mp4", 30)
    extract_frames(tmp_path / "videos", tmp_path / "frames", "agqa")
    before = snapshot(tmp_path / "frames" / "a")
    make_video(tmp_path / "videos" / "b.mp4", 30)
    extract_frames(tmp_path / "videos", tmp_path / "frames", "agqa")
    assert snapshot(tmp_path / "frames" / "a") == before
    assert "1 videos, 4 frames extracted" in capsys.readouterr().out.splitlines()[-1]
    with pytest.raises(InputError, match="were made with short_side = None, and this run has 32"):
        extract_frames(tmp_path / "videos", tmp_path / "frames", "agqa", FrameSettings(short_side=32))


def test_a_decoder_that_is_interrupted_leaves_no_directory(tmp_path, monkeypatch):
    """Ctrl-C reaches ffmpeg, too, which then ends its output in good order: too early."""
    make_video(tmp_path / "videos" / "a.mp4", 30)
    wrapper = tmp_path / "ffmpeg"
    wrapper.write_text(f'#!/bin/sh\n"{find_ffmpeg()}" "$@"\nexit 255\n')
    wrapper.chmod(0o755)
    monkeypatch.setattr("datasets.video.ffmpeg.find_ffmpeg", lambda: str(wrapper))
    with pytest.raises(InputError, match="none of the 1 videos"):
        extract_frames(tmp_path / "videos", tmp_path / "frames", "agqa")
    assert "a.mp4,ffmpeg stopped with exit code 255" in (tmp_path / "frames.failed.csv").read_text()
    assert [path.name for path in (tmp_path / "frames").iterdir()] == [".extract_frames.json"]


def test_full_disk(tmp_path, monkeypatch):
    make_video(tmp_path / "videos" / "a.mp4", 30)
    wrapper = tmp_path / "ffmpeg"
    wrapper.write_text("#!/bin/sh\necho 'av_interleaved_write_frame(): No space left on device' >&2\nexit 228\n")
    wrapper.chmod(0o755)
    monkeypatch.setattr("datasets.video.ffmpeg.find_ffmpeg", lambda: str(wrapper))
    with pytest.raises(InputError, match=r"cannot write .*frames/a: No space left on device"):
        extract_frames(tmp_path / "videos", tmp_path / "frames", "agqa")


def test_a_video_that_vanishes(tmp_path, monkeypatch):
    make_video(tmp_path / "videos" / "a.mp4", 30)

    def vanishing(folder, naming):
        found, problems = list_videos(folder, naming)
        return [*found, Video(folder / "gone.mp4", "gone")], problems

    monkeypatch.setattr(script, "list_videos", vanishing)
    (problem,) = extract_frames(tmp_path / "videos", tmp_path / "frames", "agqa")
    assert problem.reason == "cannot be read: No such file or directory"
    assert len(list((tmp_path / "frames" / "a").iterdir())) == 4


def test_a_place_that_is_taken(tmp_path, monkeypatch):
    """It stops no other video, and stays as it is."""
    for name in "abc":
        make_video(tmp_path / "videos" / f"{name}.mp4", 30)
    frames = tmp_path / "frames"
    frames.mkdir()
    (frames / "a").write_text("notes")
    wrapper = tmp_path / "ffmpeg"
    wrapper.write_text(f'#!/bin/sh\nmkdir -p "{frames}/b"\necho mine > "{frames}/b/0001.png"\n"{find_ffmpeg()}" "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setattr("datasets.video.ffmpeg.find_ffmpeg", lambda: str(wrapper))
    problems = extract_frames(tmp_path / "videos", frames, "agqa")
    reasons = {problem.path.name: problem.reason for problem in problems}
    assert reasons == {
        "a.mp4": f"its frames have no place, {frames}/a is in the way: Not a directory",
        "b.mp4": f"its frames have no place, {frames}/b is in the way: Directory not empty",
    }
    assert (frames / "a").read_text() == "notes" and (frames / "b" / "0001.png").read_text() == "mine\n"
    assert len(list((frames / "c").iterdir())) == 4
    assert {path.name for path in frames.iterdir()} == {".extract_frames.json", "a", "b", "c"}


def test_settings_that_made_nothing_bind_nobody(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"<html>not found</html>")
    with pytest.raises(InputError, match="none of the 1 videos"):
        extract_frames(tmp_path / "videos", tmp_path / "frames", "agqa", FrameSettings(fps=4))
    make_video(tmp_path / "videos" / "a.mp4", 30)
    assert extract_frames(tmp_path / "videos", tmp_path / "frames", "agqa") == []
    assert json.loads((tmp_path / "frames" / ".extract_frames.json").read_text())["fps"] == 3
    with pytest.raises(InputError, match=r"were made with fps = 3\.0, and this run has 4"):
        extract_frames(tmp_path / "videos", tmp_path / "frames", "agqa", FrameSettings(fps=4))


def test_frames_from_elsewhere_are_not_claimed(tmp_path):
    make_video(tmp_path / "videos" / "a.mp4", 30)
    (tmp_path / "frames" / "b").mkdir(parents=True)
    with pytest.raises(InputError, match=r"frames/b is there without .*frames/\.extract_frames\.json, which says what"):
        extract_frames(tmp_path / "videos", tmp_path / "frames", "agqa")
    assert [path.name for path in (tmp_path / "frames").iterdir()] == ["b"]
    (tmp_path / "frames" / ".extract_frames.json").write_text("[3]")
    with pytest.raises(InputError, match=r"\.extract_frames\.json is not a JSON object of settings"):
        extract_frames(tmp_path / "videos", tmp_path / "frames", "agqa")


def test_settings_of_a_record():
    record = {"fps": 5.0, "format": "jpg", "quality": 90, "short_side": 64}
    assert FrameSettings.of_record(record | {"later": 1}) == FrameSettings(5.0, "jpg", 90, 64)
    with pytest.raises(InputError, match="record of its frames is another version's: 'quality'"):
        FrameSettings.of_record({"fps": 5.0, "format": "jpg"})
    for other in ([3.0], record | {"fps": "3"}):
        with pytest.raises(InputError, match="record of its frames is another version's"):
            FrameSettings.of_record(other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fps", "0"], "--fps 0.0 must be above 0; frames per second, 3 by default"),
        (["--format", "bmp"], "--format 'bmp' must be png or jpg"),
        (["--quality", "101"], "--quality 101 must be between 1 and 100"),
        (["--short-side", "0"], "--short-side 0 must be at least 1"),
        (["--jobs", "0"], "--jobs 0 must be at least 1"),
        (["--dataset", "agq"], "did you mean 'agqa'?"),
    ],
)
def test_bad_arguments(tmp_path, capsys, arguments, message):
    assert script.main([str(tmp_path), str(tmp_path / "frames"), "--dataset", "agqa", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_output_that_is_a_file(tmp_path, capsys):
    make_video(tmp_path / "videos" / "a.mp4", 3)
    (tmp_path / "frames").touch()
    assert script.main([str(tmp_path / "videos"), str(tmp_path / "frames"), "--dataset", "agqa"]) == 2
    assert f"cannot make the folder {tmp_path / 'frames'}" in capsys.readouterr().err
