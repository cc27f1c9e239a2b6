"""A folder of videos: what is in it, what each video is called in a data set, and how ffmpeg reads it."""

import csv
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np

from datasets import annotations, captions
from datasets.errors import InputError, did_you_mean
from datasets.files import atomic_write, read_json, write_json
from datasets.question_table import video_id_problem

SUFFIXES = {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts"}
SUFFIXES |= {".webm", ".wmv", ".gif"}  # TGIF's videos are GIFs


DATASETS = (*annotations.SOURCE_NAMES, *captions.SOURCE_NAMES)


@dataclass(frozen=True)
class Naming:
    """What the video of the file ``<file_prefix><video id>.<suffix>`` is called in a data set."""

    frame_directory: str  # with {video_id} to fill in
    feature_key: str

    @property
    def file_prefix(self) -> str:
        # ActivityNet's files are called as its frames' directories, v_<video id>.
        return self.frame_directory.partition("{video_id}")[0]

    def video_id(self, path: Path) -> str:
        # Some file systems and archives spell an accent apart from its letter (NFD), annotations do not.
        return unicodedata.normalize("NFC", path.stem.removeprefix(self.file_prefix))


def get_naming(dataset: str) -> Naming:
    """The naming of one data set. Raises InputError, with the closest name, for one that is not known."""
    if dataset in annotations.SOURCE_NAMES:
        source = annotations.get_source(dataset)
        return Naming(source.frame_directory, source.feature_key)
    if dataset in captions.SOURCE_NAMES:
        return Naming("{video_id}", captions.get_source(dataset).feature_key)
    raise InputError(
        f"no data set is called {dataset!r}{did_you_mean(dataset, DATASETS)}; known: {', '.join(DATASETS)}"
    )


@dataclass(frozen=True)
class Video:
    """One video file and the id that annotations use for it."""

    path: Path
    video_id: str


@dataclass(frozen=True)
class Problem:
    """A video file that was skipped, or used although it is damaged, and why."""

    path: Path
    reason: str


def list_videos(folder: str | os.PathLike, naming: Naming) -> tuple[list[Video], list[Problem]]:
    """The videos in a folder and its subfolders, in order of their ids, and the files that cannot be used.

    Of several files with one id (``a.mp4`` and ``a.mkv``) the first in order of the path that can be decoded is used,
    the rest are not.

    Raises:
        InputError: no such folder, or no video in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give the folder that holds the video files")
    files: dict[str, list[Path]] = {}
    problems = []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.is_dir()):
        video_id = naming.video_id(path)
        if not path.is_file():
            problems.append(Problem(path, "is a link to nothing, or no regular file"))
        elif not video_id or (reason := video_id_problem(video_id)):
            problems.append(Problem(path, reason if video_id else "its name leaves no video id"))
        else:
            files.setdefault(video_id, []).append(path)
    if not files:
        raise InputError(f"{folder} holds no video (looked for files that end in {' '.join(sorted(SUFFIXES))})")
    videos = []
    for video_id, paths in sorted(files.items()):
        used, others = _choose(paths) if len(paths) > 1 else (paths[0], [])
        videos.append(Video(used, video_id))
        problems += others
    return videos, problems


def _choose(paths: list[Path]) -> tuple[Path, list[Problem]]:
    """The first of several files of one video that gives a frame, and why the others are not used.

    If none does it is the very first, whose reason comes out when it is decoded.
    """
    failures: dict[Path, str] = {}
    for path in paths:
        try:
            with closing(iter(VideoFrames(path, threads=1))) as frames:
                next(frames)
        except VideoError as error:
            failures[path] = str(error)
        else:
            same = f"has the same video id as {shown(path)}, which is used"
            return path, [Problem(other, failures.get(other, same)) for other in paths if other != path]
    return paths[0], [Problem(path, failures[path]) for path in paths[1:]]


@cache
def find_ffmpeg() -> str:
    """The system's ffmpeg if it is 5.1 or newer (``-fps_mode``), otherwise the one that imageio-ffmpeg carries."""
    system = shutil.which("ffmpeg")
    if system is not None:
        answer = subprocess.run([system, "-version"], capture_output=True, text=True, check=False).stdout
        version = re.match(r"ffmpeg version n?(\d+)\.(\d+)", answer)
        if version is not None and (int(version[1]), int(version[2])) >= (5, 1):
            return system
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        raise InputError("no ffmpeg 5.1 or newer: install ffmpeg, or `pip install imageio-ffmpeg`") from None


def ffmpeg_input(path: Path, threads: int = 0) -> list[str]:
    """The start of an ffmpeg command that reads one local file's first video stream (a cover picture is none).

    The file's content cannot make ffmpeg open a network address, and its name is never taken for an option.
    """
    return [
        *(find_ffmpeg(), "-nostdin", "-hide_banner", "-v", "error", "-threads", str(threads)),
        *("-protocol_whitelist", "file", "-i", f"file:{path.absolute()}", "-map", "0:V:0"),
    ]


class VideoError(Exception):
    """A video that cannot be used; the message is the reason, in one line."""


def explain(path: Path, code: int, stderr: bytes) -> str:
    """Why ffmpeg, which ended with this exit code, made nothing of a file, or stopped early."""
    try:
        size = path.stat().st_size
    except OSError as error:  # gone since the folder was listed
        return f"cannot be read: {error.strerror}"
    if size == 0:
        return "the file is empty"
    if b"matches no streams" in stderr:
        return "it has no video stream"
    return first_error(stderr) or (f"ffmpeg stopped with exit code {code}" if code else "it has no frame")


def first_error(stderr: bytes) -> str:
    """The first line that ffmpeg wrote, without the address in ``[h264 @ 0x55d0c8]``; "" if there is none."""
    for line in stderr.decode(errors="replace").splitlines():
        line = re.sub(r"\[([^\]]*?) @ 0x[0-9a-f]+\]", r"\1:", line).strip()
        if line:
            return line
    return ""


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

    def __iter__(self) -> Iterator[np.ndarray]:
        # PPM pictures say their size themselves, which saves asking for it first (not every machine has ffprobe).
        output = ["-fps_mode", "passthrough", "-f", "image2pipe", "-c:v", "ppm", "-"]
        command = [*ffmpeg_input(self.path, self.threads), *output]
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, bufsize=1 << 20)
            try:
                self.count = 0
                while (frame := _read_ppm(process.stdout)) is not None:
                    yield frame
                    self.count += 1
                code = process.wait()
            finally:
                process.kill()
                process.stdout.close()
                process.wait()
            errors.seek(0)
            stderr = errors.read()
        if self.count == 0 or code != 0:
            raise VideoError(explain(self.path, code, stderr))
        self.damage = first_error(stderr)


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


def hashed_name(video_id: str) -> str:
    """A file name for a video id of any length and characters."""
    return hashlib.sha256(video_id.encode(errors="surrogateescape")).hexdigest()[:32]


def read_settings(path: Path) -> dict:
    """What an output was made with, from the note beside it. Raises InputError when that is none."""
    kept = read_json(path)
    if not isinstance(kept, dict):
        raise InputError(f"{path} is not a JSON object of settings: restore it, or name another place for the output")
    return kept


def keep_settings(path: Path, settings: dict, what: str) -> None:
    """Notes beside an output what it is made with, and holds later runs to it.

    Raises:
        InputError: the note is there and says something else.
    """
    if not path.exists():
        write_json(path, settings, indent=1)
    hold_to_settings(read_settings(path), settings, what)


def hold_to_settings(kept: dict, settings: dict, what: str) -> None:
    """Raises InputError when what was made earlier (`kept`) differs in a setting; the message names it."""
    for name in settings:
        if kept.get(name) != settings[name]:
            raise InputError(
                f"{what} were made with {name} = {kept.get(name)!r}, and this run has {settings[name]!r}: "
                f"use the same, or another place for the output"
            )


def shown(path: Path) -> str:
    r"""A path as text that can be printed and written: what is no UTF-8 in a file's name comes as ``\xff``."""
    return os.fsencode(path).decode(errors="backslashreplace")


def report_problems(problems: list[Problem], path: Path) -> None:
    """Prints what was skipped or is damaged, and writes it to a csv; without problems no such file is left."""
    if not problems:
        path.unlink(missing_ok=True)
        return
    problems = sorted(problems, key=lambda problem: problem.path)
    with atomic_write(path) as file:
        writer = csv.writer(file)
        writer.writerow(["file", "reason"])
        writer.writerows((shown(problem.path), problem.reason) for problem in problems)
    print(f"{len(problems)} skipped or damaged (also listed in {shown(path)}):")
    for problem in problems:
        print(f"  {shown(problem.path)}: {problem.reason}")
