"""Decoding of videos: the frames of a file, one after the other."""

import io
import subprocess
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import IO

import numpy as np

from datasets.video import ffmpeg

from .ffmpeg import ImpatientReader, VideoError, end, explain, ffmpeg_input, find_damage, stalled


class VideoFrames:
    """The frames of a video, decoded while they are iterated over (once).

    Each is uint8 RGB [height, width, 3], turned as the video's metadata says; all frames come, whatever their times.
    The iteration raises VideoError when nothing could be decoded, or the decoder gave up before the end.

    Attributes:
        count: the frames so far.
        damage: after the iteration, the first error that the decoder met and went on after; "" for none.
    """

    def __init__(self, path: Path, threads: int = 0):
        self.path = path
        self.threads = threads
        self.count = 0
        self.damage = ""

    def __iter__(self) -> Generator[np.ndarray, None, None]:
        # PPM pictures say their size themselves, which saves asking for it first (not every machine has ffprobe).
        # Without the pixel format, those of a video with more than 8 bits a sample would have 16.
        output = ["-fps_mode", "passthrough", "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-"]
        command = [*ffmpeg_input(self.path, self.threads), *output]
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, bufsize=0)
            try:
                self.count = 0
                with ImpatientReader(process.stdout) as raw:
                    pictures = io.BufferedReader(raw, 1 << 20)
                    while (frame := _read_ppm(pictures)) is not None:
                        yield frame
                        self.count += 1
                code = process.wait(ffmpeg.STALL_SECONDS)
            except subprocess.TimeoutExpired as waiting:
                raise VideoError(stalled(waiting.timeout)) from None
            finally:
                end(process)
            errors.seek(0)
            stderr = errors.read()
        if self.count == 0 or code != 0:
            raise VideoError(explain(self.path, code, stderr))
        self.damage = find_damage(stderr)


def _read_ppm(stream: IO[bytes]) -> np.ndarray | None:
    """The next picture of a stream of PPM, uint8 [height, width, 3]; None at the end, or if the last one is cut off."""
    if stream.readline() != b"P6\n":
        return None
    width, height = map(int, stream.readline().split())
    stream.readline()  # the highest value, 255
    pixels = stream.read(height * width * 3)
    if len(pixels) < height * width * 3:
        return None
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
