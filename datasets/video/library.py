"""A folder of videos: what is in it, what each video is called in a dataset, and what cannot be used."""

import contextlib
import csv
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datasets.errors import InputError
from datasets.files import atomic_write
from datasets.names import is_system_entry, spelt_alike, video_id_problem
from datasets.sources import CAPTION_SOURCES, QA_SOURCES, Source

from .decoding import VideoFrames
from .ffmpeg import VideoError

SUFFIXES = {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts"}
SUFFIXES |= {".webm", ".wmv", ".gif"}  # TGIF's videos are GIFs

DATASETS = (*QA_SOURCES, *CAPTION_SOURCES)


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


def list_videos(folder: str | os.PathLike, source: Source) -> tuple[list[Video], list[Problem]]:
    """The videos of a dataset in a folder and its subfolders, in order of their ids, and the files that cannot be used.

    Subfolders may be links; each folder is searched once, however many links lead to it.
    Of several files with one id (``a.mp4`` and ``a.mkv``) the first in order of the path that can be decoded is used,
    the rest are not.

    Raises:
        InputError: no such folder, or no video in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give the folder that holds the video files")
    prefix = source.frame_directory.partition("{video_id}")[0]  # ActivityNet's files are called so, too: v_<video id>
    files: dict[str, list[Path]] = {}
    problems: list[Problem] = []
    for path in sorted(path for path in _list_files(folder, problems) if path.suffix.lower() in SUFFIXES):
        if any(map(is_system_entry, path.relative_to(folder).parts)):  # such as what is left of videos in a recycle bin
            continue
        video_id = spelt_alike(path.stem.removeprefix(prefix))
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
