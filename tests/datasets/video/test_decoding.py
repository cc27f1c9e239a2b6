"""Reading videos, and the ffmpeg that reads them."""

import cv2
import numpy as np
import pytest

from datasets.video import ffmpeg as program
from datasets.video.decoding import VideoFrames
from datasets.video.ffmpeg import VideoError, find_ffmpeg


def decode_all(path) -> np.ndarray:
    """[frames, height, width, 3] RGB, by another decoder's interface."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (frame := capture.read()[1]) is not None:
        frames.append(frame[..., ::-1])
    return np.stack(frames)


def test_every_frame_as_another_reader_decodes_it(video):
    np.testing.assert_array_equal(np.stack(list(VideoFrames(video))), decode_all(video))


def test_a_decoder_that_gives_up_is_no_end(video, tmp_path, monkeypatch):
    """Half a video must not pass for a whole one, say because the decoder was killed for its memory."""
    script = tmp_path / "ffmpeg"
    script.write_text(f'#!/bin/sh\n"{find_ffmpeg()}" "$@" -frames:v 5\nkill -9 $$\n')
    script.chmod(0o755)
    monkeypatch.setattr(program, "find_ffmpeg", lambda: str(script))
    with pytest.raises(VideoError, match="exit code -9"):
        list(VideoFrames(video))


def test_a_video_that_is_gone(tmp_path):
    with pytest.raises(VideoError, match=r"^cannot be read: No such file or directory$"):
        list(VideoFrames(tmp_path / "a.mp4"))


@pytest.mark.parametrize(("version", "used"), [("4.4.2-0ubuntu", False), ("5.1.6", True), ("n7.0", True)])
def test_an_old_ffmpeg_is_not_used(tmp_path, monkeypatch, version, used):
    script = tmp_path / "ffmpeg"
    script.write_text(f"#!/bin/sh\necho ffmpeg version {version} Copyright\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    find_ffmpeg.cache_clear()
    try:
        assert (find_ffmpeg() == str(script)) is used
    finally:
        find_ffmpeg.cache_clear()
