"""Checks of frames and clip features: all are there, and can be read as training reads them."""

import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from datasets.clips import ClipFeatures, dataset_names
from datasets.files import FRAME_SETTINGS
from datasets.frames import FrameReader, read_square
from datasets.names import is_system_entry, spelt_alike

from .report import Check

DECODED_SIZE = 32  # pixels; an image is decoded as a whole, whatever its size here
FRAMES_IF_QUICK = 3


def check_frames(root: Path, directories: Sequence[str], quick: bool, jobs: int | None) -> list[Check]:
    """Every directory is there, with as many frames as were made, and every image in it is whole."""
    check, unused = Check("frames"), Check("frames without questions", fatal=False)
    gaps = Check("numbers of frames", fatal=False)
    reader = FrameReader(root, nframe=1)

    def look_at(directory: str) -> tuple[int, list[tuple[str, str]]]:
        found = Check("")
        names, folder = found.attempt(directory, partial(reader.names, directory)), reader.folder(directory)
        if names is None:
            return 0, found.problems
        if (expected := made.get(folder.name, len(names))) != len(names):
            problem = f"{len(names)} frames, and {expected} were extracted; extract them again"
            found.problems.append((directory, problem))
        elif numbering := numbering_problem(names):
            if ours:  # extract_frames.py numbers from 1, without gaps
                found.problems.append((directory, f"{numbering}; extract them again"))
            else:
                gaps.problems.append((directory, f"{numbering}: fine if no frame is missing"))
        number = min(len(names), FRAMES_IF_QUICK) if quick else len(names)
        for place in np.linspace(0, len(names) - 1, number).astype(int):
            found.attempt(f"{directory}/{names[place]}", partial(read_square, folder / names[place], DECODED_SIZE))
        return len(names), found.problems

    missing = check.attempt("frames", lambda: set(reader.missing(directories)))
    if missing is None:
        return [check, unused]
    made = check.attempt(FRAME_SETTINGS, reader.counts) or {}
    ours = (root / FRAME_SETTINGS).is_file()
    check.problems += [
        (directory, f"no directory {root / directory}") for directory in directories if directory in missing
    ]
    there = [directory for directory in directories if directory not in missing]
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        found = list(tqdm(pool.map(look_at, there), total=len(there), desc="frames", unit="video"))
    for _, problems in found:
        check.problems += problems
    check.looked_at = gaps.looked_at = len(directories)
    check.summary = _lengths([count for count, _ in found if count], "frames per video")
    folders = (path.name for path in root.iterdir() if path.is_dir())
    return [check, *([gaps] if gaps.problems else []), _unused(unused.name, directories, folders)]


def numbering_problem(names: Sequence[str]) -> str | None:
    """Tells numbers of a video's frames that are not 1, 2, 3 …; those of other programs may be numbered in any way."""
    first, last = _number(names[0]), _number(names[-1])
    if first == 1 and last == len(names):
        return None
    return f"{len(names)} frames are numbered {first} to {last}"


def _number(name: str) -> int:
    return int(re.findall(r"\d+", Path(name).stem)[-1])


def check_features(path: Path, key: str, video_ids: Sequence[str], width: int, max_len: int) -> tuple[Check, Check]:
    """Every video has features of the width, of finite numbers."""
    check, unused = Check("features"), Check("features without questions", fatal=False)
    clips = ClipFeatures(path, width, key=key)
    missing = check.attempt(path.name, lambda: set(clips.missing(video_ids)))
    if missing is None:
        return check, unused
    lengths = []
    for video_id in tqdm(video_ids, desc="features", unit="video"):
        if video_id in missing:
            check.problems.append((video_id, f"no features in {path}"))
            continue
        features = check.attempt(video_id, partial(clips.read, video_id))
        if features is not None:
            lengths.append(len(features))
    clips.close()
    check.looked_at = len(video_ids)
    longer = sum(length > max_len for length in lengths)
    check.summary = _lengths(lengths, "clips per video")
    if longer:
        check.summary += f"; {longer / len(lengths):.1%} have more than {max_len}, which are sampled down"
    with h5py.File(path, "r", locking=False) as file:
        return check, _unused(unused.name, [key.format(video_id=name) for name in video_ids], dataset_names(file))


def _unused(name: str, used: Iterable[str], there: Iterable[str]) -> Check:
    used = set(map(spelt_alike, used))
    there = sorted(thing for thing in there if not thing.startswith(".") and not is_system_entry(thing))
    problems = [(thing, "nothing asks about it") for thing in there if spelt_alike(thing) not in used]
    return Check(name, len(there), problems, fatal=False)


def _lengths(lengths: Sequence[int], unit: str) -> str:
    if not lengths:
        return ""
    return f"{min(lengths)} to {max(lengths)} {unit}, {np.median(lengths):g} in the middle"
