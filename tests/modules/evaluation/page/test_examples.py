"""Which questions are listed, and pictures of their videos."""

import base64

import cv2
import numpy as np
import pytest
from PIL import Image

from datasets.errors import InputError
from datasets.sources import anetqa
from modules.evaluation.page import examples
from modules.evaluation.page.examples import choose_evenly, look_at_videos

from ..results import make_results


def test_rare_kinds_come_as_soon_as_frequent_ones():
    kinds = np.array([0] * 900 + [1] * 95 + [2] * 5)
    chosen = choose_evenly([kinds], 15)
    assert np.bincount(kinds[chosen]).tolist() == [5, 5, 5]
    assert sorted(kinds[chosen[:3]]) == [0, 1, 2]
    assert np.bincount(kinds[choose_evenly([kinds], 100)]).tolist() == [48, 47, 5]


def test_all_if_there_are_few():
    chosen = choose_evenly([np.zeros(7, int), np.arange(7)], 100)
    assert sorted(chosen.tolist()) == list(range(7))


def test_the_same_for_the_same_seed():
    kinds = [np.arange(100) % 3]
    np.testing.assert_array_equal(choose_evenly(kinds, 50), choose_evenly(kinds, 50))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    truth, _ = make_results(tmp_path_factory.mktemp("results"), num_videos=4, skills=())
    return anetqa.read_questions(truth)


@pytest.fixture
def frames(tmp_path):
    """Videos 0 and 1 have six frames of one colour each, video 2 a damaged one, video 3 none."""
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 250, 250), (250, 250, 250)]
    for video in range(2):
        folder = tmp_path / f"v_video{video}"
        folder.mkdir()
        for number, colour in enumerate(colours):
            Image.new("RGB", (60, 40), colour).save(folder / f"{number + 1:04}.png")
    (tmp_path / "v_video2").mkdir()
    (tmp_path / "v_video2" / "0001.png").write_bytes(b"no image")
    return tmp_path


def decode(uri):
    kind, _, data = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_pictures_show_the_frames_in_order(table, frames):
    videos = look_at_videos(anetqa.SOURCE, table, frames, [2, 1, 1, 3])
    assert videos.num_frames == {"video0": 6, "video1": 6, "video2": 1}
    assert list(videos.pictures) == ["video1"]
    picture = decode(videos.pictures["video1"])
    assert picture.shape == (2 * 112 + 4, 3 * 112 + 2 * 4, 3)
    centres = [picture[56 + 116 * row, 56 + 116 * column] for row in range(2) for column in range(3)]
    expected = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 250, 250), (250, 250, 250)]
    np.testing.assert_allclose(centres, expected, atol=12)


@pytest.mark.parametrize(("note", "fps"), [(None, 3), ('{"fps": 1.5}', 1.5), ('{"fps": null}', None)])
def test_frames_per_second(table, frames, note, fps):
    if note is not None:
        (frames / ".extract_frames.json").write_text(note)
    assert look_at_videos(anetqa.SOURCE, table, frames, []).fps == fps


def test_as_many_as_there_is_room_for(table, frames, monkeypatch):
    monkeypatch.setattr(examples, "MOST_VIDEOS", 1)
    assert list(look_at_videos(anetqa.SOURCE, table, frames, [1, 0]).pictures) == ["video1"]
    monkeypatch.setattr(examples, "MOST_VIDEOS", 2)
    assert list(look_at_videos(anetqa.SOURCE, table, frames, [1, 0]).pictures) == ["video1", "video0"]
    monkeypatch.setattr(examples, "MOST_PICTURE_BYTES", 10)
    assert look_at_videos(anetqa.SOURCE, table, frames, [1, 0]).pictures == {}


def test_the_wrong_folder(table, tmp_path):
    with pytest.raises(InputError, match="has frames of none of the 4 videos, such as v_video0/; give the"):
        look_at_videos(anetqa.SOURCE, table, tmp_path, [])
    with pytest.raises(InputError, match="cannot list the frames in"):
        look_at_videos(anetqa.SOURCE, table, tmp_path / "no", [])
