import pytest

from datasets.video import ffmpeg as program
from datasets.video.decoding import VideoFrames
from datasets.video.ffmpeg import VideoError, find_ffmpeg


def test_a_decoder_that_gives_up_is_no_end(video, tmp_path, monkeypatch):
    """Half a video must not pass for a whole one, say because the decoder was killed for its memory."""
    script = tmp_path / "ffmpeg"
    script.write_text(f'#!/bin/sh\n"{find_ffmpeg()}" "$@" -frames:v 5\nkill -9 $$\n')
    script.chmod(0o755)
    monkeypatch.setattr(program, "find_ffmpeg", lambda: str(script))
    with pytest.raises(VideoError, match="exit code -9"):
        list(VideoFrames(video))
