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


@pytest.mark.parametrize(("version", "used"), [("4.4.2-0ubuntu", False), ("n7.0", True)])
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
