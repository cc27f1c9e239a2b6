"""A folder of videos: what is in it, what each video is called in a dataset, and how ffmpeg reads it."""

import contextlib
import csv
import hashlib
import io
import os
import subprocess
import tempfile
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from datasets.errors import InputError, did_you_mean
from datasets.files import atomic_write, read_json, write_json
from datasets.names import is_system_entry, spelt_alike, video_id_problem
from datasets.sources import CAPTION_SOURCES, QA_SOURCES
from datasets.video import ffmpeg

from .ffmpeg import ImpatientReader, VideoError, end, find_damage, find_ffmpeg, first_error, stalled

SUFFIXES = {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts"}
SUFFIXES |= {".webm", ".wmv", ".gif"}  # TGIF's videos are GIFs


DATASETS = (*QA_SOURCES, *CAPTION_SOURCES)


@dataclass(frozen=True)
class Naming:
    """Names that a dataset has for the video of the file ``<file_prefix><video id>.<suffix>``."""

    frame_directory: str  # with {video_id} to fill in
    feature_key: str

    @property
    def file_prefix(self) -> str:
        # ActivityNet's files are called as its frames' directories, v_<video id>.
        return self.frame_directory.partition("{video_id}")[0]

    def video_id(self, path: Path) -> str:
        return spelt_alike(path.stem.removeprefix(self.file_prefix))


def get_naming(dataset: str) -> Naming:
    """The naming of one dataset. Raises InputError, with the closest name, for one that is not known."""
    if dataset in QA_SOURCES:
        source = QA_SOURCES[dataset]
        return Naming(source.frame_directory, source.feature_key)
    if dataset in CAPTION_SOURCES:
        return Naming("{video_id}", CAPTION_SOURCES[dataset].feature_key)
    raise InputError(f"no dataset is called {dataset!r}{did_you_mean(dataset, DATASETS)}; known: {', '.join(DATASETS)}")


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

    Subfolders may be links; each folder is searched once, however many links lead to it.
    Of several files with one id (``a.mp4`` and ``a.mkv``) the first in order of the path that can be decoded is used,
    the rest are not.

    Raises:
        InputError: no such folder, or no video in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give the folder that holds the video files")
    files: dict[str, list[Path]] = {}
    problems: list[Problem] = []
    for path in sorted(path for path in _list_files(folder, problems) if path.suffix.lower() in SUFFIXES):
        if any(map(is_system_entry, path.relative_to(folder).parts)):  # such as what is left of videos in a recycle bin
            continue
        video_id = naming.video_id(path)
        if not path.is_file():
            problems.append(Problem(path, "is a link to nothing, or no regular file"))
        elif not video_id:
            problems.append(Problem(path, "its name leaves no video id"))
        elif reason := video_id_problem(video_id):
            problems.append(Problem(path, reason))
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


def _list_files(folder: Path, problems: list[Problem]) -> Iterator[Path]:
    """All that is no folder in a folder and its subfolders; those that cannot be read are added to the problems."""

    def pass_over(error: OSError) -> None:
        problems.append(Problem(Path(error.filename), f"the folder cannot be read: {error.strerror}"))

    seen = set()  # folders, by what no link changes
    linked = deque([folder])  # later than the others: files are listed under their own folder's name if it is inside
    while linked:
        for where, folders, files in os.walk(linked.popleft(), onerror=pass_over):
            status = Path(where).stat()
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            linked += sorted(path for name in folders if (path := Path(where, name)).is_symlink())
            yield from (Path(where, name) for name in files)


def _choose(paths: list[Path]) -> tuple[Path, list[Problem]]:
    """The first of several files of one video that gives a frame, and why the others are not used.

    If none does it is the very first, whose reason comes out when it is decoded.
    """
    failures: dict[Path, str] = {}
    for path in paths:
        try:
            with contextlib.closing(iter(VideoFrames(path, threads=1))) as frames:
                next(frames)
        except VideoError as error:
            failures[path] = str(error)
        else:
            same = f"has the same video id as {shown(path)}, which is used"
            return path, [Problem(other, failures.get(other, same)) for other in paths if other != path]
    return paths[0], [Problem(path, failures[path]) for path in paths[1:]]


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


def hashed_name(video_id: str) -> str:
    """A file name for a video id of any length and characters."""
    return hashlib.sha256(video_id.encode(errors="surrogateescape")).hexdigest()[:32]


def read_settings(path: Path) -> dict:
    """Reads what an output was made with, from the note beside it. Raises InputError when that is none."""
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
    for name, value in settings.items():
        if kept.get(name) != value:
            raise InputError(
                f"{what} were made with {name} = {kept.get(name)!r}, and this run has {value!r}: "
                f"use the same, or another place for the output"
            )


def shown(path: Path) -> str:
    r"""A path as text that can be printed and written: what is no UTF-8 in a file's name comes as ``\xff``."""
    return os.fsencode(path).decode(errors="backslashreplace")


def report_problems(problems: list[Problem], path: Path) -> None:
    """Prints what was skipped or is damaged, and writes it to a csv; without problems no such file is left."""
    if not problems:
        with contextlib.suppress(OSError):
            path.unlink()
        return
    problems = sorted(problems, key=lambda problem: problem.path)
    try:
        with atomic_write(path) as file:
            writer = csv.writer(file)
            writer.writerow(["file", "reason"])
            writer.writerows((shown(problem.path), problem.reason) for problem in problems)
        listed = f"also listed in {shown(path)}"
    except InputError as error:  # beside an output that is a mount point, say
        listed = f"no list of them: {error}"
    print(f"{len(problems)} skipped or damaged ({listed}):")
    for problem in problems:
        print(f"  {shown(problem.path)}: {problem.reason}")
