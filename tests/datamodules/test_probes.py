import numpy as np
import pytest

from datamodules.probes import partners, see
from datasets.errors import InputError
from datasets.qa import VideoSample


def video(video_id="v", frames=4, clips=5, other=None):
    return VideoSample(
        frames=np.arange(frames, dtype=np.uint8).repeat(12).reshape(frames, 3, 2, 2),
        clips=np.arange(clips, dtype=np.float32)[:, None].repeat(2, 1),
        **{name: [] for name in ("indices", "qids", "questions", "answers", "labels")},
        video_id=video_id,
        other=other,
    )


def places(sample, stream, view, seed=0):
    return see(sample, stream, view, seed).reshape(-1, 12 if stream == "frames" else 2)[:, 0].tolist()


def test_views():
    own = video(other=video("w", frames=2, clips=3))
    views = {"reversed": [4, 3, 2, 1, 0], "frozen": [2] * 5, "nothing": [], "other": [0, 1, 2]}
    assert {view: places(own, "clips", view) for view in views} == views
    views = {"reversed": [3, 2, 1, 0], "middle": [1], "nothing": [0], "other": [0, 1]}
    assert {view: places(own, "frames", view) for view in views} == views
    assert see(own, "frames", "nothing", 0).dtype == np.float32  # the image encoder normalises uint8 alone


@pytest.mark.parametrize(("stream", "number"), [("clips", 1), ("frames", 2), ("clips", 5)])
def test_a_shuffle_is_another_order_that_hangs_on_video_and_seed(stream, number):
    def orders(seed=0):
        return [places(video(f"v{index}", number, number), stream, "shuffled", seed) for index in range(20)]

    assert all(sorted(one) == list(range(number)) and (one != sorted(one)) == (number > 1) for one in orders())
    assert orders() == orders() and (orders() != orders(1)) == (number > 2)


def test_every_video_goes_to_another_one():
    names = [f"v{index}" for index in range(9)]
    found = partners(names, 3, "test.csv")
    assert sorted(found) == sorted(found.values()) == names
    assert all(one != other for one, other in found.items())
    assert found == partners(names[::-1], 3, "test.csv") != partners(names, 4, "test.csv")
    with pytest.raises(InputError, match=r"^probe=swap_video needs another video, and test\.csv has but one$"):
        partners(["v"], 0, "test.csv")
