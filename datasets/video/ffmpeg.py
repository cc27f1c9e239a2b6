"""ffmpeg: which program it is, what it says, and its end when nothing comes of it."""

import io
import os
import re
import selectors
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from datasets.errors import InputError

STALL_SECONDS = 60  # a decoder that gives nothing for so long is ended, and its video skipped
OLDEST_FFMPEG = (5, 1)  # the first with -fps_mode


class VideoError(Exception):
    """A video that cannot be used; the message is the reason, in one line."""


@cache
def find_ffmpeg() -> str:
    """The system's ffmpeg if it is new enough, otherwise the one that imageio-ffmpeg names.

    Raises:
        InputError: neither is there, can be run, and is new enough.
    """
    system = shutil.which("ffmpeg")
    if system is not None and not _ffmpeg_problem(system):
        return system
    try:
        import imageio_ffmpeg

        other = imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        found = f" ({system} {_ffmpeg_problem(system)})" if system is not None else ""
        raise InputError(f"no ffmpeg 5.1 or newer{found}: install ffmpeg, or `pip install imageio-ffmpeg`") from None
    if problem := _ffmpeg_problem(other):
        named = os.environ.get("IMAGEIO_FFMPEG_EXE") == other
        way_out = "unset IMAGEIO_FFMPEG_EXE, or name a newer one" if named else "install a newer one"
        raise InputError(f"{other} {problem}, and videos need ffmpeg 5.1 or newer: {way_out}")
    return other


def _ffmpeg_problem(path: str) -> str:
    """Says why a program cannot be the ffmpeg that reads videos; "" if it can."""
    try:
        run = subprocess.run([path, "-version"], capture_output=True, timeout=10, check=False)
    except OSError as error:
        return f"cannot be run: {error.strerror}"
    except subprocess.TimeoutExpired:
        return "does not say its version"
    said = re.match(r"ffmpeg version (\S+)", run.stdout.decode(errors="replace"))
    if said is None:
        return "does not say its version"
    number = re.match(r"n?(\d+)\.(\d+)", said[1])  # none for one between two releases, as N-109542-g4e0ba8f
    if number is None or (int(number[1]), int(number[2])) >= OLDEST_FFMPEG:
        return ""
    return f"is ffmpeg {said[1]}"


def run_ffmpeg(
    command: list[str], stall: float | None = None, done: Callable[[], int] = lambda: 0
) -> subprocess.CompletedProcess[bytes]:
    """Runs ffmpeg to its end. Raises VideoError when nothing comes of it for too long.

    Args:
        stall: seconds that it may give nothing; STALL_SECONDS by default.
        done: what it has made so far beside its standard output, as a number; any change counts.
    """
    stall = STALL_SECONDS if stall is None else stall
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    so_far, since = None, time.monotonic()
    try:
        while True:
            try:
                stdout, stderr = process.communicate(timeout=stall / 10)
                return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
            except subprocess.TimeoutExpired as waiting:
                now = (len(waiting.output or b""), done())
                if now != so_far:
                    so_far, since = now, time.monotonic()
                elif time.monotonic() - since > stall:
                    raise VideoError(stalled(stall)) from None
    finally:
        end(process)


def stalled(seconds: float) -> str:
    return f"the decoder gave nothing for {seconds:.3g} s"


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that may have ended, without waiting for what it began itself."""
    process.kill()
    for file in (process.stdout, process.stderr):
        if file is not None:
            file.close()
    process.wait()


class ImpatientReader(io.RawIOBase):
    """Reader of the pipe that a decoder writes to; raises VideoError when nothing comes for STALL_SECONDS."""

    def __init__(self, pipe: Any):
        self._pipe = pipe
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pipe, selectors.EVENT_READ)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if not self._selector.select(STALL_SECONDS):
            raise VideoError(stalled(STALL_SECONDS))
        return self._pipe.readinto(buffer)

    def close(self) -> None:
        self._selector.close()
        super().close()


def first_error(stderr: bytes) -> str:
    """The first line that ffmpeg wrote, without the address in ``[h264 @ 0x55d0c8]``; "" if there is none."""
    for line in stderr.decode(errors="replace").splitlines():
        line = re.sub(r"\[([^\]]*?) @ 0x[0-9a-f]+\]", r"\1:", line).strip()
        if line:
            return line
    return ""


# As that two pictures have one time. "Last message …" is never the first that counts.
_OF_THE_OUTPUT = re.compile(rb"\[(image2|image2pipe|null|out#[^]]*) @ |    Last message repeated ")


def find_damage(stderr: bytes) -> str:
    """The first error that ffmpeg met in a video and went on after, not in what it writes; "" for none."""
    return first_error(b"\n".join(line for line in stderr.splitlines() if not _OF_THE_OUTPUT.match(line)))


def ffmpeg_input(path: Path, threads: int = 0) -> list[str]:
    """The start of an ffmpeg command that reads one local file; its end names one output, of one video stream.

    Of several streams ffmpeg's own choice is taken, by the default flag, then the number of pixels. A file in which
    there is none but a cover picture, which ffmpeg would take, too, is refused by another output, of one packet.
    The file's content cannot make ffmpeg open a network address, and its name is never taken for an option.
    """
    return [
        *(find_ffmpeg(), "-nostdin", "-hide_banner", "-v", "error", "-threads", str(threads)),
        *("-protocol_whitelist", "file", "-i", f"file:{path.absolute()}"),
        *("-map", "0:V:0", "-c", "copy", "-copyinkf", "-frames:v", "1", "-f", "null", "-"),
    ]


def explain(path: Path, code: int, stderr: bytes) -> str:
    """Says why ffmpeg, which ended with this exit code, made nothing of a file, or stopped early."""
    try:
        size = path.stat().st_size
    except OSError as error:  # gone since the folder was listed
        return f"cannot be read: {error.strerror}"
    if size == 0:
        return "the file is empty"
    if b"matches no streams" in stderr:
        return "it has no video stream"
    return first_error(stderr) or (f"ffmpeg stopped with exit code {code}" if code else "it has no frame")
