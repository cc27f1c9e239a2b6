"""Videos to frames: OUT/<directory of the video>/0001.jpg …, as ``ffmpeg -vf fps=3`` gives them.

    python preproc/extract_frames.py VIDEOS data/anetqa/frames --dataset anetqa --format jpg --short-side 384

Stop it whenever you like and run the same command again: a video's directory appears only when it is complete, and
what is complete is not done again. A video that cannot be read is skipped, listed at the end and in OUT.failed.csv.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

if not __package__:  # run as a file: our own `datasets` lies beside this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from tqdm import tqdm

from datasets.errors import InputError, check_counts, explained, run_cli
from datasets.files import FRAME_COUNTS, FRAME_SETTINGS, write_json
from datasets.names import hashed_name, is_system_entry, other_spellings
from datasets.sources import Source, get_source
from datasets.video.ffmpeg import VideoError, find_ffmpeg
from datasets.video.frames import DAMAGE, FrameSettings, count_frames, extract_video
from datasets.video.library import DATASETS, Problem, Video, list_videos, report_problems
from datasets.writing.locks import sole_writer
from datasets.writing.settings_note import hold_to_settings, read_settings

LOCK = ".extract_frames.lock"


def _keep_settings(out: Path, settings: FrameSettings) -> None:
    """Notes what the frames in a folder are made with, before the first of them; holds later runs to it.

    Raises:
        InputError: there are frames that were made with other settings, or that nothing is known about.
    """
    note = out / FRAME_SETTINGS
    others = [path for path in out.iterdir() if not path.name.startswith(".") and not is_system_entry(path.name)]
    made = next(filter(Path.is_dir, others), None)
    if made is None:  # whatever the note says, of a run that decoded nothing, is about nothing
        write_json(note, asdict(settings), indent=1)
    elif not note.exists():
        raise InputError(
            f"{made} is there without {note}, which says what frames were made with: name another folder for the output"
        )
    hold_to_settings(read_settings(note), asdict(settings), f"the frames in {out}")


def _keep_counts(out: Path, directories: Iterable[Path], new: Collection[Path], settings: FrameSettings) -> None:
    """Notes how many frames these directories have, beside the settings, for preproc/check_data.py.

    What is noted stays, but of those that are `new`.
    """
    note = read_settings(out / FRAME_SETTINGS)
    counts = note.get(FRAME_COUNTS)
    counts = counts if isinstance(counts, dict) else {}
    todo = [path for path in directories if (path.name not in counts or path in new) and path.is_dir()]
    if todo:
        counts |= {path.name: count_frames(path, settings) for path in todo}
        write_json(out / FRAME_SETTINGS, note | {FRAME_COUNTS: dict(sorted(counts.items()))}, indent=1)


def _remove_partial(folder: Path, videos: Iterable[Video]) -> None:
    """Removes what a run that was killed left of these videos, in folders that are hidden from readers of frames."""
    names = {hashed_name(video.video_id) for video in videos}
    for path in folder.glob(".*.*"):
        if path.name.split(".")[1] in names:
            shutil.rmtree(path, ignore_errors=True)


def extract_frames(
    videos_folder: str | os.PathLike,
    out: str | os.PathLike,
    dataset: str,
    settings: FrameSettings | None = None,
    jobs: int | None = None,
) -> list[Problem]:
    """Extracts the frames of a folder of videos that are not in `out` yet.

    Args:
        dataset: decides on the directories' names, see `datasets.sources`.

    Returns:
        the videos that were skipped or are damaged, those of earlier runs included.

    Raises:
        InputError: no videos, none that can be decoded, another run writes to `out`, or `out` holds frames that were
            made with other settings, or by other means.
    """
    out, settings = Path(out), settings or FrameSettings()
    find_ffmpeg()  # one that cannot be used is found before anything is made
    source = get_source(dataset)
    videos, problems = list_videos(videos_folder, source)
    with explained(f"cannot make the folder {out}"):
        out.mkdir(parents=True, exist_ok=True)
    with sole_writer(out / LOCK, out) as alone:
        _keep_settings(out, settings)
        done = _extract_missing(videos, problems, out, source, settings, jobs, alone)
    report_problems(problems, Path(f"{out}.failed.csv"))
    if not done:
        raise InputError(f"none of the {len(videos)} videos in {videos_folder} could be decoded")
    return problems


def _extract_missing(
    videos: list[Video],
    problems: list[Problem],
    out: Path,
    source: Source,
    settings: FrameSettings,
    jobs: int | None,
    alone: bool,
) -> int:
    """Extracts what is not there yet, and adds to `problems`.

    Args:
        alone: whether no other run can be at work in `out`.

    Returns:
        the number of videos that have frames now.
    """
    names = {video: source.frame_directory.format(video_id=video.video_id) for video in videos}
    spelt = other_spellings(names.values(), {path.name for path in out.iterdir()})
    directories = {video: out / spelt.get(name, name) for video, name in names.items()}
    todo = {video: directory for video, directory in directories.items() if not directory.is_dir()}
    for video, directory in directories.items():
        if video not in todo and (note := directory / DAMAGE).is_file():
            problems.append(_damaged(video, note.read_text(encoding="utf-8", errors="replace")))
    if alone:
        _remove_partial(out, todo)
    frames = done = 0
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        running = {pool.submit(extract_video, video, directory, settings): video for video, directory in todo.items()}
        try:
            for job in tqdm(as_completed(running), total=len(running), desc="frames", unit="video"):
                video = running[job]
                try:
                    count, damage = job.result()
                except VideoError as error:
                    problems.append(Problem(video.path, str(error)))
                    continue
                done += 1
                frames += count
                if damage:
                    problems.append(_damaged(video, damage))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if alone:
        _remove_partial(out, todo)  # an ffmpeg that outlived its killed run may have written on after the first time
    _keep_counts(out, directories.values(), set(todo.values()), settings)
    there = len(videos) - len(todo)
    print(f"{done} videos, {frames} frames extracted to {out}; {there} were there already")
    return done + there


def _damaged(video: Video, error: str) -> Problem:
    return Problem(video.path, f"used, but damaged: {error}")


@run_cli
def main(arguments: list[str] | None = None) -> int:
    defaults = FrameSettings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path, help="folder of video files; subfolders are searched, too")
    parser.add_argument("out", type=Path, help="folder for the frames, e.g. data/anetqa/frames")
    parser.add_argument("--dataset", required=True, help=f"decides on the names: {', '.join(DATASETS)}")
    parser.add_argument("--fps", type=float, default=defaults.fps, help="frames per second (default: %(default)g)")
    parser.add_argument("--format", default=defaults.format, help="png or jpg (default: %(default)s)")
    parser.add_argument("--quality", type=int, default=defaults.quality, help="of jpg, 1..100 (default: %(default)s)")
    parser.add_argument("--short-side", type=int, help="shrink to this many pixels; training needs 384")
    parser.add_argument("--jobs", type=int, help="videos at a time (default: the number of processors)")
    options = parser.parse_args(arguments)
    check_counts(options, "jobs")
    settings = FrameSettings(options.fps, options.format, options.quality, options.short_side)
    try:
        extract_frames(options.videos, options.out, options.dataset, settings, options.jobs)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here")
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
