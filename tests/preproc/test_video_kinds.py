"""Kinds of video that people's own files and machines bring."""

import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.errors import InputError
from datasets.sources import get_source
from datasets.video import ffmpeg as program
from datasets.video.decoding import VideoFrames
from datasets.video.ffmpeg import VideoError, find_ffmpeg, run_ffmpeg
from datasets.video.library import list_videos
from modules.inference.video_input import find_seconds, read_frames
from preproc.extract_features import main as extract_features
from preproc.extract_frames import FrameSettings, extract_frames
from preproc.extract_frames import main as frames_script
from tests.datasets.video.video_files import ffmpeg, make_video
from tests.kit.paths import FIXTURES

from .test_extract_frames import plain_frames, read

DEEP = {
    "vp9.webm": ("-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p10le"),
    "prores.mov": ("-c:v", "prores_ks", "-pix_fmt", "yuv422p10le"),
    "h264.mp4": ("-c:v", "libx264", "-pix_fmt", "yuv444p10le"),
    "grey10.mkv": ("-c:v", "ffv1", "-pix_fmt", "gray10le"),
    "grey16.mkv": ("-c:v", "ffv1", "-pix_fmt", "gray16le"),
    "rgb16.mkv": ("-c:v", "ffv1", "-pix_fmt", "gbrp16le"),
    "alpha16.mkv": ("-c:v", "png", "-pix_fmt", "rgba64be"),
}


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Makes a program the ffmpeg that is used; in it $REAL is the real one."""

    def use(text: str) -> Path:
        script = tmp_path / "stand_in"
        script.write_text(f'#!/bin/sh\nREAL="{find_ffmpeg()}"\n{text}\n')
        script.chmod(0o755)
        for module in ("datasets.video.ffmpeg", "modules.inference.video_input"):
            monkeypatch.setattr(f"{module}.find_ffmpeg", lambda: str(script))
        return script

    return use


def eight_bits(path: Path, shape: tuple) -> np.ndarray:
    """ffmpeg's own conversion."""
    command = [find_ffmpeg(), "-v", "error", "-i", path, "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, *shape)


@pytest.mark.parametrize("name", ["hevc10.mp4", *DEEP])
def test_more_than_8_bits_a_sample(tmp_path, name):
    folder = tmp_path / "videos"
    path = folder / name
    if name in DEEP:
        make_video(path, 30, size="97x64" if "420" not in DEEP[name] else "96x64", options=DEEP[name])
    else:
        folder.mkdir()
        path.write_bytes((FIXTURES / "videos" / name).read_bytes())
    frames = np.stack(list(VideoFrames(path)))
    expected = eight_bits(path, frames.shape[1:])
    assert len(frames) == len(expected) >= 30
    assert np.abs(frames.astype(int) - expected).max() <= 1

    assert extract_frames(folder, tmp_path / "frames", "agqa", FrameSettings(fps=25)) == []
    pictures = sorted((tmp_path / "frames" / path.stem).iterdir())
    assert len(pictures) == len(expected)
    assert all(cv2.imread(str(picture), cv2.IMREAD_UNCHANGED).dtype == np.uint8 for picture in pictures)
    kept = np.stack([cv2.imread(str(picture))[..., ::-1] for picture in pictures])
    assert np.abs(kept.astype(int) - expected).max() <= 1
    assert read_frames(path, FrameSettings(), 4, 1.0, 32)[0].shape == (4, 3, 32, 32)


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("mkv", ("-c:v", "png", "-pix_fmt", "rgba")),
        ("mkv", ("-c:v", "ffv1", "-pix_fmt", "gray")),
        ("mkv", ("-c:v", "png", "-pix_fmt", "ya8")),
        ("mkv", ("-c:v", "png", "-pix_fmt", "pal8")),
        ("mkv", ("-c:v", "png", "-pix_fmt", "monob")),
        ("gif", ()),
        ("webm", ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p")),
    ],
)
def test_pixels_of_8_bits_are_those_of_ffmpeg(tmp_path, suffix, options):
    video = make_video(tmp_path / "videos" / f"a.{suffix}", 20, options=options)
    extract_frames(tmp_path / "videos", tmp_path / "frames", "agqa")
    plain_frames(video, tmp_path / "plain")
    for expected in sorted((tmp_path / "plain").iterdir()):
        found = cv2.imread(str(tmp_path / "frames" / "a" / expected.name))
        np.testing.assert_array_equal(found, cv2.imread(str(expected)))


@pytest.mark.parametrize("text", ["sleep 30", '"$REAL" "$@" | head -c 30000; sleep 30', "exec >&- 2>&-; sleep 30"])
def test_a_decoder_that_stalls_is_ended(tmp_path, monkeypatch, stand_in, text):
    video = make_video(tmp_path / "videos" / "a.mp4", 20)
    stand_in(text)
    monkeypatch.setattr(program, "STALL_SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(VideoError, match=r"^the decoder gave nothing for 0\.5 s$"):
        list(VideoFrames(video))
    with pytest.raises(InputError, match=r"a\.mp4 is no video that can be used: the decoder gave nothing for 0\.5 s"):
        read_frames(video, FrameSettings(), 4, 1.0, 32)
    with pytest.raises(VideoError, match="gave nothing"):
        find_seconds(video)
    with pytest.raises(InputError, match="none of the 1 videos"):
        extract_frames(tmp_path / "videos", tmp_path / "frames", "agqa")
    assert "a.mp4,the decoder gave nothing for 0.5 s" in (tmp_path / "frames.failed.csv").read_text()
    assert time.monotonic() - began < 10


def test_features_of_the_others_when_one_decoder_stalls(tmp_path, monkeypatch, stand_in):
    for name in "ab":
        make_video(tmp_path / "videos" / f"{name}.mp4", 20)
    stand_in('case "$*" in */a.mp4*) sleep 30;; esac; exec "$REAL" "$@"')
    monkeypatch.setattr(program, "STALL_SECONDS", 1)
    out = tmp_path / "a.h5"
    words = ("--dataset", "agqa", "--arch", "tiny", "--random-start", "0", "--size", "32", "--clip-len", "4")
    assert extract_features([str(tmp_path / "videos"), str(out), *words, "--decoders", "2"]) == 0
    assert "a.mp4,the decoder gave nothing for 1 s" in Path(f"{out}.failed.csv").read_text()
    assert "b.mp4" not in Path(f"{out}.failed.csv").read_text()


def test_slow_is_not_stalled(monkeypatch):
    monkeypatch.setattr(program, "STALL_SECONDS", 0.6)
    assert run_ffmpeg(["sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.3; done"]).stdout == b"1\n2\n3\n4\n5\n"


def test_linked_subfolders(tmp_path):
    """Each folder once, however many links lead to it; loops end."""
    root, outside = tmp_path / "videos", tmp_path / "outside"
    for path in (root / "z" / "one.mp4", outside / "deep" / "two.mp4", outside / "three.mp4"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / "a").symlink_to(root / "z")
    (root / "linked").symlink_to(outside)
    (root / "linked too").symlink_to(outside / "deep")
    (outside / "deep" / "back").symlink_to(root)
    (outside / "round").symlink_to(outside)
    (root / "itself").symlink_to(root / "itself")
    found, problems = list_videos(root, get_source("agqa"))
    assert problems == []
    assert [video.video_id for video in found] == ["one", "three", "two"]
    assert found[0].path == root / "z" / "one.mp4"


def record(path: Path, source: Path) -> Path:
    """As a browser does: without a length, for the file cannot be written again at its end."""
    with path.open("wb") as file:
        command = [find_ffmpeg(), "-v", "error", "-i", source, "-c:v", "libvpx", "-f", "webm", "-live", "1", "-"]
        subprocess.run(command, stdout=file, check=True)
    return path


@pytest.mark.parametrize("kind", ["fixture", "recorded", "piped matroska"])
def test_length_without_a_header(tmp_path, kind):
    if kind == "fixture":
        assert find_seconds(FIXTURES / "videos" / "nodur.webm") == pytest.approx(1.2, abs=0.05)
        return
    source = make_video(tmp_path / "a.mp4", 50)
    path = tmp_path / "a.mkv"
    if kind == "recorded":
        record(path, source)
    else:
        with path.open("wb") as file:
            command = [find_ffmpeg(), "-v", "error", "-i", source, "-c", "copy", "-f", "matroska", "-"]
            subprocess.run(command, stdout=file, check=True)
    assert find_seconds(path) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("times", ["trunc(N/2)*80", "if(lt(N,20),N,40-N)*40", "0"])
@pytest.mark.parametrize("codec", [("-c:v", "mjpeg"), ("-c:v", "libx264", "-bf", "0")])
def test_repeated_and_backward_times_are_no_damage(tmp_path, times, codec):
    base = make_video(tmp_path / "base.mkv", 40, options=codec)
    path = tmp_path / "videos" / "a.mkv"
    path.parent.mkdir()
    ffmpeg("-i", base, "-c", "copy", "-bsf:v", f"setts=ts='{times}'", path)
    frames = VideoFrames(path)
    assert len(list(frames)) == 40
    assert frames.damage == ""
    assert extract_frames(path.parent, tmp_path / "frames", "agqa") == []


def two_streams(path: Path, sizes: tuple[str, str], default: int | None) -> Path:
    path.parent.mkdir(exist_ok=True)
    inputs = [word for size in sizes for word in ("-f", "lavfi", "-i", f"testsrc2=s={size}:d=2")]
    flags = [word for i in range(2) for word in (f"-disposition:v:{i}", "default" if i == default else "0")]
    mkv = ("-default_mode", "passthrough") if path.suffix == ".mkv" else ()
    ffmpeg(*inputs, "-map", 0, "-map", 1, "-pix_fmt", "yuv420p", *flags, *mkv, path)
    return path


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
@pytest.mark.parametrize(
    ("sizes", "default"),
    [(("32x32", "64x48"), 1), (("64x48", "32x32"), 1), (("64x48", "32x32"), 0), (("32x32", "64x48"), None)],
)
def test_of_several_streams_the_one_of_ffmpeg(tmp_path, suffix, sizes, default):
    path = two_streams(tmp_path / "videos" / f"a.{suffix}", sizes, default)
    assert extract_frames(path.parent, tmp_path / "frames", "agqa") == []
    expected, found = plain_frames(path, tmp_path / "plain"), read(tmp_path / "frames" / "a")
    assert sorted(found) == sorted(expected)
    assert all((found[name] == expected[name]).all() for name in expected)
    decoded = [frame[..., ::-1] for frame in VideoFrames(path)]
    assert any(np.array_equal(frame, expected["0001.png"]) for frame in decoded)


def test_the_default_stream_of_the_fixture():
    assert {frame.shape for frame in VideoFrames(FIXTURES / "videos" / "two_default.mkv")} == {(64, 64, 3)}


@pytest.mark.parametrize("said", ["4.4.2-0ubuntu", "n3.4", "5.0.1"])
@pytest.mark.parametrize("how", ["named", "system"])
def test_an_old_ffmpeg_is_one_line_at_the_start(tmp_path, monkeypatch, capsys, said, how):
    make_video(tmp_path / "videos" / "a.mp4", 3)
    script = tmp_path / "bin" / "ffmpeg"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\necho ffmpeg version {said} Copyright\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent if how == "system" else tmp_path / "empty"))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(script))
    find_ffmpeg.cache_clear()
    try:
        for main, out, words in (
            (frames_script, "frames", ()),
            (extract_features, "a.h5", ("--arch", "tiny", "--random-start", "0")),
        ):
            assert main([str(tmp_path / "videos"), str(tmp_path / out), "--dataset", "agqa", *words]) == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert f"{script} is ffmpeg {said}, and videos need ffmpeg 5.1 or newer: unset IMAGEIO_FFMPEG_EXE" in line
            assert not (tmp_path / out).exists()
    finally:
        find_ffmpeg.cache_clear()


def test_an_ffmpeg_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "nowhere"))
    find_ffmpeg.cache_clear()
    try:
        with pytest.raises(InputError, match="nowhere cannot be run: No such file or directory"):
            find_ffmpeg()
    finally:
        find_ffmpeg.cache_clear()
