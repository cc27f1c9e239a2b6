"""The frames that are read of one video are those of a dataset, though only what is used is written."""

import numpy as np
import pytest

from datasets.errors import InputError
from datasets.frames import FrameReader
from datasets.sampling import sample_frames
from datasets.video.ffmpeg import VideoError
from datasets.video.frames import FrameSettings, extract_video
from datasets.video.library import Video
from modules.inference.video_input import read_frames
from tests.datasets.video.video_files import ffmpeg, make_broken_videos, make_video

SETTINGS = {
    "published": FrameSettings(),
    "small jpg": FrameSettings(format="jpg", short_side=40),
    "every frame": FrameSettings(fps=None),
    "many": FrameSettings(fps=7.5),
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Videos of every kind; a few in which ffmpeg repeats or drops frames after its filters, or begins anew."""
    folder = tmp_path_factory.mktemp("videos")
    make_broken_videos(folder)
    good = folder / "good.mp4"
    ffmpeg("-f", "lavfi", "-i", "sine=d=4", "-itsoffset", 1.7, "-i", good, "-c:v", "copy", folder / "late.mp4")
    make_video(folder / "deep.mkv", 40, options=("-pix_fmt", "yuv420p10le", "-c:v", "ffv1"))
    make_video(folder / "grey.mkv", 40, options=("-pix_fmt", "gray", "-c:v", "ffv1"))
    parts = [make_video(folder / f"part{size}.ts", 30, size) for size in ("96x64", "64x64")]
    (folder / "changing.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    return folder


def all_frames(path, settings, folder, nframe, trim):
    """As the two steps of a dataset: every frame is extracted, some are read."""
    count, damage = extract_video(Video(path, "video"), folder / "video", settings)
    frames = FrameReader(folder, nframe, trim, 32).read("video")
    return count, sample_frames(count, nframe, trim), frames, damage


@pytest.mark.parametrize("kind", SETTINGS)
def test_same_frames_as_of_a_data_set(videos, tmp_path, kind):
    settings = SETTINGS[kind]
    compared = 0
    for index, path in enumerate(sorted(videos.iterdir())):
        (tmp_path / str(index)).mkdir()
        try:
            count, chosen, expected, damage = all_frames(path, settings, tmp_path / str(index), 5, 0.8)
        except (VideoError, OSError):
            with pytest.raises((InputError, OSError)):
                read_frames(path, settings, 5, 0.8, 32)
            continue
        frames, times, seconds, found = read_frames(path, settings, 5, 0.8, 32)
        assert np.array_equal(frames, expected) and found == damage, path.name
        assert times == pytest.approx(chosen * seconds / count), path.name
        assert not settings.fps or seconds == count / settings.fps, path.name
        compared += 1
    assert compared > 12
