"""Decoding videos ahead of the network that takes their windows."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from .decoding import VideoFrames
from .ffmpeg import VideoError
from .library import Video
from .windows import WindowBatch, WindowSettings, window_batches


@dataclass(frozen=True)
class Decoded:
    """A message from a decoder: windows of a video, or (`batch` is None) its end."""

    video: Video
    batch: WindowBatch | None = None
    failure: str = ""  # why the video cannot be used
    damage: str = ""  # what is wrong with it although it is used
    num_frames: int = 0  # of the whole video, at its end


def decode_ahead(
    videos: list[Video], settings: WindowSettings, batch_size: int, decoders: int, waiting: int
) -> Iterator[Decoded]:
    """Decodes several videos at a time, ahead of whoever takes the batches.

    Args:
        decoders: videos at a time, one thread and one ffmpeg process each.
        waiting: batches that are held ready at most.
    """
    todo: queue.SimpleQueue[Video | None] = queue.SimpleQueue()
    for video in [*videos, *[None] * decoders]:
        todo.put(video)
    ready: queue.Queue[Decoded | BaseException] = queue.Queue(waiting)
    stop = threading.Event()

    def put(message: Decoded | BaseException) -> None:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(message, timeout=0.2)
                return

    def work() -> None:
        try:
            for video in iter(todo.get, None):
                for message in _decode(video, settings, batch_size):
                    put(message)
                    if stop.is_set():
                        return
        except BaseException as error:  # not the video's fault: the one who takes the batches raises it
            put(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(decoders)]
    for thread in threads:
        thread.start()
    try:
        yield from _take(ready, len(videos))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _decode(video: Video, settings: WindowSettings, batch_size: int) -> Iterator[Decoded]:
    frames = VideoFrames(video.path, threads=1)
    try:
        for batch in window_batches(frames, settings, batch_size):
            yield Decoded(video, batch)
        yield Decoded(video, damage=frames.damage, num_frames=frames.count)
    except VideoError as error:
        yield Decoded(video, failure=str(error))


def _take(ready: queue.Queue[Decoded | BaseException], num_videos: int) -> Iterator[Decoded]:
    """Yields messages until all videos have ended."""
    while num_videos:
        message = ready.get()
        if isinstance(message, BaseException):
            raise message
        num_videos -= message.batch is None
        yield message
