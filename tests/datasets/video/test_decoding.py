import pytest

from datasets.video import ffmpeg as program
from datasets.video.decoding import VideoFrames
from datasets.video.ffmpeg import VideoError, find_ffmpeg

from .video_files import make_video


def test_a_decoder_that_gives_up_is_no_end(tmp_path, monkeypatch):
    """Half a video must not pass for a whole one, say because the decoder was killed for its memory."""
    script = tmp_path / "ffmpeg"
    script.write_text(f'#!/bin/sh\n"{find_ffmpeg()}" "$@" -frames:v 5\nkill -9 $$\n')
    script.chmod(0o755)
    video = make_video(tmp_path / "a.mp4", 40)
    monkeypatch.setattr(program, "find_ffmpeg", lambda: str(script))
    with pytest.raises(VideoError, match="exit code -9"):
        list(VideoFrames(video))
