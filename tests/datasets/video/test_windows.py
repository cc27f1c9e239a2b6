from itertools import chain

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datasets.video.windows import WindowSettings, window_batches


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
