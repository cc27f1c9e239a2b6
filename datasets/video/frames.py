"""One video to frames on disk, as ``ffmpeg -vf fps=3`` gives them."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datasets.errors import check_counts, explained, refusing
from datasets.names import hashed_name

from . import ffmpeg
from .ffmpeg import VideoError, explain, ffmpeg_input, find_damage, run_ffmpeg
from .library import Video

DAMAGE = ".damage"  # a file among a video's frames: the first error that ffmpeg met and went on after
# 8 bits a sample, whatever a video has; ffmpeg takes what fits best. Left to itself it dithers deep grey.
PNG_FORMATS = "rgb24|rgba"


@dataclass(frozen=True)
class FrameSettings:
    """Settings on which the pixels and the number of the frames depend."""

    fps: float | None = 3.0  # None: every frame
    format: str = "png"
    quality: int = 95  # of jpg, 1..100
    short_side: int | None = None  # pixels; None: as it is. Smaller frames are never enlarged

    def __post_init__(self) -> None:
        self._check()
        check_counts(self, "short_side")

    @refusing
    def _check(self) -> Iterator[str]:
        if self.fps is not None and not self.fps > 0:
            yield f"--fps {self.fps} must be above 0; frames per second, 3 by default"
        if self.format not in {"png", "jpg"}:
            yield f"--format {self.format!r} must be png or jpg"
        if not 1 <= self.quality <= 100:
            yield f"--quality {self.quality} must be between 1 and 100"

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "FrameSettings":
        """Reads the note in a folder of frames. Raises InputError when it is another version's."""
        with explained("the checkpoint's record of its frames is another version's", KeyError, TypeError):
            return cls(**{name: record[name] for name in cls.__dataclass_fields__})

    @property
    def stall_seconds(self) -> float:
        """Seconds without a picture after which a decoder has stalled: pictures may lie far apart."""
        return ffmpeg.STALL_SECONDS * max(1.0, 1 / (self.fps or 1))

    def ffmpeg_output(self) -> list[str]:
        """The part of an ffmpeg command between the input and the names of the pictures."""
        filters = [] if self.fps is None else [f"fps={self.fps:g}"]
        quality = []
        scale = []
        if self.short_side is not None:
            # The long side is truncated, as where training resizes, which then has nothing left to do.
            side = f"min({self.short_side},min(iw,ih))"
            scale += [f"w='trunc({side}*iw/min(iw,ih))':h='trunc({side}*ih/min(iw,ih))':flags=bicubic"]
        if self.format == "jpg":
            # Readers of jpg expect BT.601 colours in full range, whatever the video has (HD has BT.709). Full
            # resolution of colours (444) keeps those of small things, which questions are about.
            scale += ["out_color_matrix=bt601:out_range=full"]
            quality = ["-q:v", f"{2 + (100 - self.quality) * 29 / 99:.2f}"]  # mjpeg's runs from 2 (best) to 31
        if scale:
            filters += ["format=rgb24", f"scale={':'.join(scale)}"]
        # ffmpeg would write a png of 16 bits a sample for a video that has more than 8; readers only cut those off.
        filters += [f"format={'yuvj444p' if self.format == 'jpg' else PNG_FORMATS}"]
        return ["-vf", ",".join(filters), *quality]


def extract_video(video: Video, directory: Path, settings: FrameSettings) -> tuple[int, str]:
    """Writes the frames of one video; `directory` appears when all of them are there.

    A video too short for a single frame at this rate gives its first one.

    Returns:
        the number of frames, and the first error that ffmpeg met and went on after ("" for none).

    Raises:
        VideoError: nothing could be decoded, or the decoder gave up before the end, or something that is not of this
            program stands where the directory belongs.
        InputError: the frames cannot be written.
    """
    with explained(f"cannot write {directory}"):
        partial = Path(tempfile.mkdtemp(prefix=f".{hashed_name(video.video_id)}.", dir=directory.parent))
        try:
            for output in (settings.ffmpeg_output(), [*replace(settings, fps=None).ffmpeg_output(), "-frames:v", "1"]):
                pictures = f"file:{str(partial).replace('%', '%%')}/%04d.{settings.format}"
                command = [*ffmpeg_input(video.path, threads=1), *output, "-f", "image2", pictures]
                run = run_ffmpeg(command, settings.stall_seconds, lambda: count_frames(partial, settings))
                count = count_frames(partial, settings)
                if count or run.returncode:
                    break
            if b"No space left on device" in run.stderr:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if count == 0 or run.returncode != 0:
                raise VideoError(explain(video.path, run.returncode, run.stderr))
            damage = find_damage(run.stderr)
            if damage:  # appears with the frames, for the list at the end of every later run
                (partial / DAMAGE).write_text(damage, encoding="utf-8")
            partial.chmod(0o755)
            _rename(partial, directory)
            return count, damage
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _rename(partial: Path, directory: Path) -> None:
    """Gives complete frames their name. Raises VideoError when it is taken by anything but these frames."""
    try:
        partial.rename(directory)
    except OSError as error:
        # A second run has been as fast, on a file system that knows no locks.
        if directory.is_dir() and {path.name for path in directory.iterdir()} == {
            path.name for path in partial.iterdir()
        }:
            return
        if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY):
            raise VideoError(f"its frames have no place, {directory} is in the way: {error.strerror}") from None
        raise


def count_frames(directory: Path, settings: FrameSettings) -> int:
    return sum(1 for path in directory.iterdir() if path.suffix == f".{settings.format}")
