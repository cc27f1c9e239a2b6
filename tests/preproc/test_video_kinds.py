"""Kinds of video that people's own files and machines bring."""

import shutil
import subprocess

import cv2
import numpy as np
import pytest

from datasets.errors import InputError
from datasets.video import ffmpeg as program
from datasets.video.decoding import VideoFrames
from datasets.video.ffmpeg import VideoError, find_ffmpeg
from modules.inference.video_input import find_seconds, read_frames
from preproc.extract_frames import FrameSettings, extract_frames
from preproc.extract_frames import main as frames_script
from tests.datasets.video.video_files import ffmpeg, make_video
from tests.kit.paths import FIXTURES

from .test_extract_frames import assert_frames_of_ffmpeg

# file -> codec, pixels
DEEP = {"vp9.webm": "libvpx-vp9 yuv420p10le", "prores.mov": "prores_ks yuv422p10le", "h264.mp4": "libx264 yuv444p10le"}
DEEP |= {"grey10.mkv": "ffv1 gray10le", "alpha16.mkv": "png rgba64be", "grey.mkv": "ffv1 gray", "gif.gif": "gif rgb8"}


@pytest.mark.parametrize("name", ["hevc10.mp4", *DEEP])
def test_more_than_8_bits_a_sample(tmp_path, name):
    path = tmp_path / "videos" / name
    path.parent.mkdir()
    if name in DEEP:
        codec, pixels = DEEP[name].split()
        make_video(path, 30, size="96x64", options=("-c:v", codec, "-pix_fmt", pixels))
    else:
        shutil.copy(FIXTURES / "videos" / name, path)
    command = [find_ffmpeg(), "-v", "error", "-i", path, "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout  # ffmpeg's own conversion to 8 bits
    frames = np.stack(list(VideoFrames(path)))
    expected = np.frombuffer(raw, np.uint8).reshape(-1, *frames.shape[1:]).astype(int)
    assert extract_frames(path.parent, tmp_path / "frames", "agqa", FrameSettings(fps=25)) == []
    pictures = map(str, sorted((tmp_path / "frames" / path.stem).iterdir()))
    kept = np.stack([cv2.imread(one, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)[..., ::-1] for one in pictures])
    assert len(expected) >= 30 and kept.dtype == np.uint8
    for found in (frames, kept):
        assert np.abs(found.astype(int) - expected).max() <= 1
    assert read_frames(path, FrameSettings(), 4, 1.0, 32)[0].shape == (4, 3, 32, 32)


@pytest.mark.parametrize("text", ["sleep 30", '"$REAL" "$@" | head -c 30000; sleep 30', "exec >&- 2>&-; sleep 30"])
def test_a_decoder_that_stalls_is_ended(tmp_path, monkeypatch, stand_in, text):
    video = make_video(tmp_path / "videos" / "a.mp4", 20)
    stand_in(text)
    monkeypatch.setattr(program, "STALL_SECONDS", 0.5)
    with pytest.raises(InputError, match=r"a\.mp4 .*: the decoder gave nothing for 0\.5 s$"):
        read_frames(video, FrameSettings(), 4, 1, 32)
    with pytest.raises(VideoError, match="gave nothing"):
        find_seconds(video)
    with pytest.raises(InputError, match="none of the 1"):
        extract_frames(tmp_path / "videos", tmp_path / "frames", "agqa")
    assert "a.mp4,the decoder gave nothing for 0.5 s" in (tmp_path / "frames.failed.csv").read_text()


def test_a_decoder_that_gives_up_is_no_end(tmp_path, stand_in):
    """Half a video must not pass for a whole one, say because the decoder was killed for its memory."""
    video = make_video(tmp_path / "a.mp4", 40)
    stand_in('"$REAL" "$@" -frames:v 5\nkill -9 $$')
    with pytest.raises(VideoError, match="exit code -9"):
        list(VideoFrames(video))


def test_length_without_a_header():
    """As a browser records: the file cannot be written again at its end."""
    assert find_seconds(FIXTURES / "videos" / "nodur.webm") == pytest.approx(1.2, abs=0.05)


@pytest.mark.parametrize("times", ["trunc(N/2)*80", "if(lt(N,20),N,40-N)*40", "0"])
def test_repeated_and_backward_times_are_no_damage(tmp_path, times):
    base = make_video(tmp_path / "base.mkv", 40, options=("-c:v", "libx264", "-bf", "0"))
    ffmpeg("-i", base, "-c", "copy", "-bsf:v", f"setts=ts='{times}'", tmp_path / "a.mkv")
    frames = VideoFrames(tmp_path / "a.mkv")
    assert (len(list(frames)), frames.damage) == (40, "")


@pytest.mark.parametrize("default", [0, 1, None])
def test_of_several_streams_the_one_of_ffmpeg(tmp_path, default):
    path = tmp_path / "videos" / "a.mkv"
    path.parent.mkdir()
    inputs = [word for size in ("64x48", "32x32") for word in ("-f", "lavfi", "-i", f"testsrc2=s={size}:d=2")]
    flags = [word for i in range(2) for word in (f"-disposition:v:{i}", "default" if i == default else "0")]
    ffmpeg(*inputs, "-map", 0, "-map", 1, "-pix_fmt", "yuv420p", *flags, "-default_mode", "passthrough", path)
    assert extract_frames(path.parent, tmp_path / "frames", "agqa") == []
    assert_frames_of_ffmpeg(path, tmp_path / "frames" / "a", tmp_path)
    assert {frame.shape for frame in VideoFrames(FIXTURES / "videos" / "two_default.mkv")} == {(64, 64, 3)}


@pytest.mark.parametrize("said", ["4.4.2-0ubuntu", "n3.4", "5.0.1"])
def test_an_old_ffmpeg_is_one_line_at_the_start(tmp_path, monkeypatch, refused, request, program, said):
    script = program(f"echo ffmpeg version {said} Copyright", "bin/ffmpeg")
    message = f"{script} is ffmpeg {said}, and videos need ffmpeg 5.1 or newer: unset IMAGEIO_FFMPEG_EXE"
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(script))
    request.addfinalizer(find_ffmpeg.cache_clear)
    find_ffmpeg.cache_clear()
    (tmp_path / "videos").mkdir()
    assert message in refused(frames_script, tmp_path / "videos", tmp_path / "out", "--dataset", "agqa")
    assert not (tmp_path / "out").exists()


def test_slow_is_not_stalled(monkeypatch):
    monkeypatch.setattr(program, "STALL_SECONDS", 0.6)
    assert program.run_ffmpeg(["sh", "-c", "for i in 1 2 3 4; do echo $i; sleep 0.3; done"]).stdout == b"1\n2\n3\n4\n"
