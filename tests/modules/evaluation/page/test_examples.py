"""Which questions are listed, and pictures of their videos."""

import base64

import cv2
import numpy as np
import pytest
from PIL import Image

from datasets.errors import InputError
from datasets.sources import anetqa
from modules.evaluation.page import examples
from modules.evaluation.page.examples import look_at_videos

from ..results import make_results

COLOURS = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 250, 250), (250, 250, 250)]


def test_pictures_of_videos(tmp_path, monkeypatch):
    """Videos 0 and 1 have six frames of one colour each, video 2 a damaged one, video 3 none."""
    truth, _ = make_results(tmp_path, num_videos=4, skills=())
    table, frames = anetqa.read_questions(truth), tmp_path / "frames"
    with pytest.raises(InputError, match="cannot list the frames in"):
        look_at_videos(anetqa.SOURCE, table, frames, [])
    frames.mkdir()
    with pytest.raises(InputError, match="has frames of none of the 4 videos, such as v_video0/; give the"):
        look_at_videos(anetqa.SOURCE, table, frames, [])
    for video in range(3):
        (frames / f"v_video{video}").mkdir()
    with pytest.raises(InputError, match="v_video0"):
        look_at_videos(anetqa.SOURCE, table, frames, [])
    for number, colour in enumerate(COLOURS):
        for video in range(2):
            Image.new("RGB", (60, 40), colour).save(frames / f"v_video{video}" / f"{number + 1:04}.png")
    (frames / "v_video2" / "0001.png").write_bytes(b"no image")
    videos = look_at_videos(anetqa.SOURCE, table, frames, [2, 1, 1, 3])
    assert videos.num_frames == {"video0": 6, "video1": 6, "video2": 1}
    assert list(videos.pictures) == ["video1"]
    kind, _, data = videos.pictures["video1"].partition(",")
    assert kind == "data:image/jpeg;base64"
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert picture.shape == (2 * 112 + 4, 3 * 112 + 2 * 4, 3)
    centres = [picture[56 + 116 * row, 56 + 116 * column] for row in range(2) for column in range(3)]
    np.testing.assert_allclose(centres, COLOURS, atol=12)
    for note, fps in ((None, 3), ('{"fps": 1.5}', 1.5), ('{"fps": null}', None)):
        if note is not None:
            (frames / ".extract_frames.json").write_text(note)
        assert look_at_videos(anetqa.SOURCE, table, frames, []).fps == fps
    for most, pictured in ((1, ["video1"]), (2, ["video1", "video0"])):  # as many as there is room for
        monkeypatch.setattr(examples, "MOST_VIDEOS", most)
        assert list(look_at_videos(anetqa.SOURCE, table, frames, [1, 0]).pictures) == pictured
    monkeypatch.setattr(examples, "MOST_PICTURE_BYTES", 10)
    assert look_at_videos(anetqa.SOURCE, table, frames, [1, 0]).pictures == {}
