from itertools import chain

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datasets.video import windows
from datasets.video.windows import WindowSettings, resize_and_crop, window_batches


def plain_indices(num_frames: int, window: WindowSettings) -> list[list[int]]:
    """The arithmetic as it is stated, one frame at a time."""
    half = window.clip_len // 2
    centre = half * window.frame_interval
    found = []
    while centre < num_frames:
        ids = [centre + (i - half) * window.frame_interval for i in range(window.clip_len)]
        found.append([min(i, num_frames - 1) for i in ids])
        centre += window.window_interval * window.frame_interval
    if not found:
        ids = list(range(0, num_frames, window.frame_interval))[: window.clip_len]
        found.append(ids + [ids[-1]] * (window.clip_len - len(ids)))
    return found


def numbered(num_frames: int) -> list[np.ndarray]:
    """Frames that tell their number."""
    return [np.full((2, 2, 3), (*divmod(i, 256), 0), np.uint8) for i in range(num_frames)]


def numbers(batch) -> list[list[int]]:
    return (batch.frames[:, 0, 0] @ np.array([256, 1, 0]))[batch.indices].tolist()


@settings(deadline=None, max_examples=300)
@given(st.integers(1, 300), st.integers(1, 32), st.integers(1, 4), st.integers(1, 16), st.integers(1, 8))
@example(200, 32, 2, 16, 2)
@example(33, 32, 2, 16, 8)
def test_any_arithmetic_while_frames_come_in(num_frames, clip_len, frame_interval, window_interval, batch_size):
    window = WindowSettings(clip_len, frame_interval, window_interval, size=2)
    assert window.indices(num_frames).tolist() == plain_indices(num_frames, window)
    batches = list(window_batches(numbered(num_frames), window, batch_size))
    assert list(chain.from_iterable(map(numbers, batches))) == plain_indices(num_frames, window)
    assert all(len(batch.indices) == batch_size for batch in batches[:-1])


def test_each_frame_is_resized_once_and_only_if_needed_and_few_are_held(monkeypatch):
    resized = []
    monkeypatch.setattr(windows, "resize_and_crop", lambda frame, size: resized.append(1) or frame)
    batches = window_batches((frame for frame in numbered(100) for _ in range(50)), WindowSettings(size=2), 2)
    assert max(len(batch.frames) for batch in batches) == 48
    assert len(resized) == 2501  # every second, and the last


@pytest.mark.parametrize(("shape", "resized"), [((256, 340), (224, 298)), ((97, 63), (345, 224))])
def test_short_side_then_centre(shape, resized):
    frame = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    whole = cv2.resize(frame, resized[::-1], interpolation=cv2.INTER_LINEAR)
    top, left = (resized[0] - 224) // 2, (resized[1] - 224) // 2
    np.testing.assert_array_equal(resize_and_crop(frame, 224), whole[top : top + 224, left : left + 224])
