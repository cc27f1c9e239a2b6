"""Windows of frames for Video Swin: which frames, which pixels; each frame decoded and resized once.

Letters: N frames of a video · B windows · T frames of a window (`clip_len`) · S pixels of a side (`size`)
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from datasets.errors import check_counts


@dataclass(frozen=True)
class WindowSettings:
    """The window arithmetic, in frames, and the picture's size; the defaults are those of the published features."""

    clip_len: int = 32  # frames of a window
    frame_interval: int = 2  # from one frame of a window to the next
    window_interval: int = 16  # from one window to the next, in units of frame_interval; 32 for VATEX
    size: int = 224  # pixels of a side

    def __post_init__(self):
        check_counts(self, "clip_len", "frame_interval", "window_interval", "size")

    def indices(self, num_frames: int) -> np.ndarray:
        """The frames of every window of a video, int64 [B, T].

        Windows are centred at ``clip_len // 2 * frame_interval``, and every ``window_interval * frame_interval`` frames
        from there on while the centre is inside the video; what sticks out at the end repeats the last frame. A video
        too short for the first centre is one window of every ``frame_interval``-th frame, the last of these repeated.
        """
        ahead = self.clip_len // 2 * self.frame_interval
        centres = np.arange(ahead, num_frames, self.window_interval * self.frame_interval)
        steps = np.arange(self.clip_len) * self.frame_interval
        if len(centres) == 0:
            last = (num_frames - 1) // self.frame_interval * self.frame_interval
            return np.minimum(steps, last)[None]
        return np.minimum(centres[:, None] - ahead + steps, num_frames - 1)


@dataclass(frozen=True)
class WindowBatch:
    """Some windows of one video, that share their frames."""

    frames: np.ndarray  # uint8 [N', S, S, 3] RGB, the frames these windows need
    indices: np.ndarray  # int64 [B, T] into `frames`


def resize_and_crop(frame: np.ndarray, size: int) -> np.ndarray:
    """Short side to `size` (bilinear, without antialiasing, as OpenCV does it), then the centre, uint8 [S, S, 3]."""
    height, width = frame.shape[:2]
    scale = size / min(height, width)
    height, width = int(height * scale + 0.5), int(width * scale + 0.5)
    if frame.shape[:2] != (height, width):
        frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)
    top, left = (height - size) // 2, (width - size) // 2
    return frame[top : top + size, left : left + size]


def window_batches(frames: Iterable[np.ndarray], settings: WindowSettings, batch_size: int) -> Iterator[WindowBatch]:
    """All windows of a video, `batch_size` at a time, while its frames come in.

    No more frames are held than a batch needs, however long the video is. Batches depend on the video alone, so that
    its features are the same to the last bit wherever a run began.
    """
    interval, clip_len, step = settings.frame_interval, settings.clip_len, settings.window_interval
    kept: list[np.ndarray] = []  # every interval-th frame, resized, from the first that a window still needs
    emitted = 0  # windows
    num_frames = 0
    frame = None
    # All windows start at multiples of `interval`, so that besides these frames only the very last can be needed.
    whole = (batch_size - 1) * step + clip_len  # kept frames of a full batch
    for frame in frames:
        if num_frames % interval == 0 and num_frames // interval >= emitted * step:
            kept.append(resize_and_crop(frame, settings.size))
        num_frames += 1
        if len(kept) == whole:
            indices = np.arange(batch_size)[:, None] * step + np.arange(clip_len)
            yield WindowBatch(np.stack(kept), indices)
            emitted += batch_size
            kept = kept[batch_size * step :]
    if num_frames == 0:
        return
    if frame is not None and (num_frames - 1) % interval:
        kept.append(resize_and_crop(frame, settings.size))
    remaining = settings.indices(num_frames)[emitted:]
    for start in range(0, len(remaining), batch_size):
        # Frame i is kept at i / interval, counted from the first kept; the very last may lie between two: round up.
        indices = -(-remaining[start : start + batch_size] // interval) - emitted * step
        first = indices[0, 0]
        yield WindowBatch(np.stack(kept[first : indices.max() + 1]), indices - first)
