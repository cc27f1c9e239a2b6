"""Frames against the plain ffmpeg command, and all that a large folder of videos can hold."""

import csv
import subprocess

import cv2
import h5py
import numpy as np
import pytest

from datasets.errors import InputError
from datasets.frames import FrameReader
from datasets.video.ffmpeg import find_ffmpeg
from preproc import extract_features
from preproc import extract_frames as script
from preproc.extract_frames import FrameSettings, extract_frames
from tests.datasets.video.video_files import ffmpeg, make_broken_videos, make_video

from .conftest import contents


def assert_frames_of_ffmpeg(video, folder, tmp_path) -> None:
    """A folder holds what the command of the published instructions gives."""
    plain = tmp_path / f"plain {video.name}"
    plain.mkdir()
    subprocess.run([find_ffmpeg(), "-v", "error", "-i", video, "-vf", "fps=3", plain / "%04d.png"], check=True)
    assert sorted(contents(folder)) == sorted(contents(plain))
    for path in plain.iterdir():
        np.testing.assert_array_equal(cv2.imread(str(folder / path.name)), cv2.imread(str(path)))


def test_frames_are_those_of_ffmpeg(tmp_path):
    """Of any length and rate, of a variable rate, a late start, and turned."""
    folder = tmp_path / "videos"
    for rate in (25, 7):
        for frames in (5, 12, 13, 25, 74, 75, 76):
            make_video(folder / f"v_{frames} at {rate}.mp4", frames, rate=rate)
    a = folder / "v_25 at 25.mp4"
    make_video(folder / "v_vfr.mp4", 40, options=("-vf", "select='lt(n,20)+not(mod(n,9))'", "-fps_mode", "vfr"))
    ffmpeg("-display_rotation", 90, "-i", a, "-c", "copy", folder / "v_turned.mp4")
    ffmpeg("-itsoffset", 2, "-i", a, "-c", "copy", folder / "v_late.mkv")
    assert extract_frames(folder, tmp_path / "frames", "anetqa") == []
    for video in folder.iterdir():
        assert_frames_of_ffmpeg(video, tmp_path / "frames" / video.stem, tmp_path)


TOY = ("--arch", "toy", "--random-start", "0", "--size", "16", "--decoders", "2")


@pytest.mark.parametrize(("main", "words"), [(script.main, ("--short-side", "32")), (extract_features.main, TOY)])
def test_broken_videos_stop_nothing(tmp_path, capsys, main, words):
    expected = make_broken_videos(tmp_path / "videos")
    arguments, out = [str(tmp_path / "videos"), str(tmp_path / "out"), "--dataset", "agqa", *words], tmp_path / "out"
    assert main(arguments) == 0
    listed = (tmp_path / "out.failed.csv").read_text()
    reasons = {row["file"].rpartition("/")[2]: row["reason"] for row in csv.DictReader(listed.splitlines())}
    assert reasons.keys() == {name for name, reason in expected.items() if reason}
    assert all(expected[name] in reason for name, reason in reasons.items())
    assert f"{len(reasons)} skipped or damaged" in capsys.readouterr().out
    if out.is_dir():
        made = {path.name for path in out.glob("[!.]*")}
        assert len(contents(out / "one frame")) == 1
    else:
        with h5py.File(out) as file:
            made = set(file["videos"])
    used = {name for name, reason in expected.items() if not reason or "used, but" in reason}
    assert made == {name.rpartition(".")[0] for name in used}
    assert main(arguments) == 0  # names those that are there already, too
    assert (tmp_path / "out.failed.csv").read_text() == listed


@pytest.mark.parametrize("colours", ("bt709", "smpte170m"))
def test_jpg_is_close_its_quality_counts_and_no_frame_is_enlarged(tmp_path, colours):
    options = ("-pix_fmt", "yuv444p", "-vf", f"scale=out_color_matrix={colours}", "-colorspace", colours)
    for size in ("320x240", "64x97", "30x20"):
        make_video(tmp_path / "videos" / f"{size}.mp4", 30, size=size, options=options)
    kinds = {"png": FrameSettings(), "jpg": FrameSettings(format="jpg"), "low": FrameSettings(format="jpg", quality=30)}
    for name, settings in (kinds | {"small": FrameSettings(format="jpg", short_side=40)}).items():
        extract_frames(tmp_path / "videos", tmp_path / name, "agqa", settings)
    png, high, low = (FrameReader(tmp_path / name, 2, image_size=240).read("320x240").astype(int) for name in kinds)
    assert np.abs(high - png).mean() < 1.5 < np.abs(low - png).mean()
    shapes = [cv2.imread(str(tmp_path / "small" / one / "0001.jpg")).shape[:2] for one in ("64x97", "30x20")]
    assert shapes == [(60, 40), (20, 30)]


def test_a_decoder_that_is_interrupted_leaves_no_directory(tmp_path, stand_in):
    """Ctrl-C reaches ffmpeg, too, which then ends its output in good order: too early."""
    make_video(tmp_path / "videos" / "a.mp4", 30)
    stand_in('"$REAL" "$@"\nexit 255')
    with pytest.raises(InputError, match="none of the 1 videos"):
        extract_frames(tmp_path / "videos", tmp_path / "frames", "agqa")
    assert not (tmp_path / "frames" / "a").exists()


def test_a_second_run_does_what_is_left(tmp_path, capsys):
    """Also where the first video's folder is spelt otherwise; frames from elsewhere are not claimed."""
    frames = tmp_path / "frames"
    for count, name in enumerate(("Zo\u00eb", "b")):
        make_video(tmp_path / "videos" / f"{name}.mp4", 30)
        assert extract_frames(tmp_path / "videos", frames, "agqa") == []
        assert f"1 videos, 4 frames extracted to {frames}; {count} were there already" in capsys.readouterr().out
        if count == 0:
            (frames / name).rename(frames / "Zoe\u0308")
    (frames / ".extract_frames.json").unlink()
    with pytest.raises(InputError, match=r"is there without .*, which says what"):
        extract_frames(tmp_path / "videos", frames, "agqa")
