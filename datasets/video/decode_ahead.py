"""Decoding videos ahead of the network that takes their windows."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from .library import Video, VideoError, VideoFrames
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
        decoders: videos at a time, a thread and an ffmpeg process each.
        waiting: batches that are held ready at most.
    """
    todo: queue.SimpleQueue[Video] = queue.SimpleQueue()
    for video in videos:
        todo.put(video)
    ready: queue.Queue[Decoded | BaseException] = queue.Queue(waiting)
    stop = threading.Event()

    def put(message) -> None:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(message, timeout=0.2)
                return

    def decode() -> None:
        while not stop.is_set():
            try:
                video = todo.get_nowait()
            except queue.Empty:
                return
            frames = VideoFrames(video.path, threads=1)
            try:
                for batch in window_batches(frames, settings, batch_size):
                    put(Decoded(video, batch))
                    if stop.is_set():
                        return
                put(Decoded(video, damage=frames.damage, num_frames=frames.count))
            except VideoError as error:
                put(Decoded(video, failure=str(error)))
            except BaseException as error:  # not the video's fault: the one who takes the batches raises it
                put(error)
                return

    threads = [threading.Thread(target=decode, daemon=True) for _ in range(decoders)]
    for thread in threads:
        thread.start()
    try:
        ends = 0
        while ends < len(videos):
            message = ready.get()
            if isinstance(message, BaseException):
                raise message
            ends += message.batch is None
            yield message
    finally:
        stop.set()
        for thread in threads:
            thread.join()
