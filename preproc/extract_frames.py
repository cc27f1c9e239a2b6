"""Videos to frames: OUT/<directory of the video>/0001.jpg …, as ``ffmpeg -vf fps=3`` gives them.

    python preproc/extract_frames.py VIDEOS data/anetqa/frames --dataset anetqa --format jpg --short-side 384

Stop it whenever you like and run the same command again: a video's directory appears only when it is complete, and
what is complete is not done again. A video that cannot be read is skipped, listed at the end and in OUT.failed.csv.
"""

if __package__ in {None, ""}:  # run as a file: our own `datasets` must be found, from the repository's root
    import sys
    from pathlib import Path

    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from datasets.errors import InputError, run_cli
from datasets.files import FRAME_SETTINGS, write_json
from datasets.video.library import (
    DATASETS,
    Problem,
    Video,
    VideoError,
    explain,
    ffmpeg_input,
    first_error,
    get_naming,
    hashed_name,
    hold_to_settings,
    list_videos,
    read_settings,
    report_problems,
)

DAMAGE = ".damage"  # a file among a video's frames: the first error that ffmpeg met and went on after


@dataclass(frozen=True)
class FrameSettings:
    """What the pixels and the number of the frames depend on."""

    fps: float | None = 3.0  # None: every frame
    format: str = "png"
    quality: int = 95  # of jpg, 1..100
    short_side: int | None = None  # pixels; None: as it is. Smaller frames are never enlarged

    def __post_init__(self):
        if self.fps is not None and not self.fps > 0:
            raise InputError(f"--fps {self.fps} must be above 0; frames a second, 3 by default")
        if self.format not in {"png", "jpg"}:
            raise InputError(f"--format {self.format!r} must be png or jpg")
        if not 1 <= self.quality <= 100:
            raise InputError(f"--quality {self.quality} must be between 1 and 100")
        if self.short_side is not None and self.short_side < 1:
            raise InputError(f"--short-side {self.short_side} must be at least 1 pixel")

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "FrameSettings":
        """From the note in a folder of frames. Raises InputError when it is another version's."""
        try:
            return cls(**{name: record[name] for name in cls.__dataclass_fields__})
        except KeyError as error:
            raise InputError(f"the checkpoint's record of its frames lacks {error}: it is another version's") from None
        except TypeError:  # a list, or words for numbers
            raise InputError("the checkpoint's record of its frames cannot be read: it is another version's") from None

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
        filters += ["format=yuvj444p" if self.format == "jpg" else "null"]
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
    try:
        partial = Path(tempfile.mkdtemp(prefix=f".{hashed_name(video.video_id)}.", dir=directory.parent))
        try:
            for output in (settings.ffmpeg_output(), [*replace(settings, fps=None).ffmpeg_output(), "-frames:v", "1"]):
                pictures = f"file:{str(partial).replace('%', '%%')}/%04d.{settings.format}"
                command = [*ffmpeg_input(video.path, threads=1), *output, "-f", "image2", pictures]
                run = subprocess.run(command, capture_output=True, check=False)
                count = sum(1 for _ in partial.iterdir())
                if count or run.returncode:
                    break
            if b"No space left on device" in run.stderr:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if count == 0 or run.returncode != 0:
                raise VideoError(explain(video.path, run.returncode, run.stderr))
            damage = first_error(run.stderr)
            if damage:  # appears with the frames, for the list at the end of every later run
                (partial / DAMAGE).write_text(damage, encoding="utf-8")
            partial.chmod(0o755)
            _rename(partial, directory)
            return count, damage
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise InputError(f"cannot write {directory}: {error.strerror or error}") from error


def _rename(partial: Path, directory: Path) -> None:
    """Gives complete frames their name. Raises VideoError when it is taken."""
    try:
        partial.rename(directory)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY):
            raise VideoError(f"its frames have no place, {directory} is in the way: {error.strerror}") from None
        raise


def _keep_settings(out: Path, settings: FrameSettings) -> None:
    """Notes what the frames in a folder are made with, before the first of them; holds later runs to it.

    Raises:
        InputError: there are frames that were made with other settings, or that nothing is known about.
    """
    note = out / FRAME_SETTINGS
    made = next((path for path in out.iterdir() if path.is_dir() and not path.name.startswith(".")), None)
    if made is None:  # whatever the note says, of a run that decoded nothing, is about nothing
        write_json(note, asdict(settings), indent=1)
    elif not note.exists():
        raise InputError(
            f"{made} is there without {note}, which says what frames were made with: name another folder for the output"
        )
    hold_to_settings(read_settings(note), asdict(settings), f"the frames in {out}")


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
    settings: FrameSettings = FrameSettings(),
    jobs: int | None = None,
) -> list[Problem]:
    """Extracts the frames of a folder of videos that are not in `out` yet.

    Args:
        dataset: decides on the directories' names, see `datasets.video.library.Naming`.
        jobs: videos at a time; as many as there are processors by default.

    Returns:
        the videos that were skipped or are damaged, those of earlier runs included.

    Raises:
        InputError: no videos, none that can be decoded, or `out` holds frames that were made with other settings, or
            by other means.
    """
    out = Path(out)
    naming = get_naming(dataset)
    videos, problems = list_videos(videos_folder, naming)
    try:
        out.mkdir(parents=True, exist_ok=True)
        _keep_settings(out, settings)
    except OSError as error:
        raise InputError(f"cannot make the folder {out}: {error.strerror}") from error
    todo = {}
    for video in videos:
        directory = out / naming.frame_directory.format(video_id=video.video_id)
        if not directory.is_dir():
            todo[video] = directory
        elif (note := directory / DAMAGE).is_file():
            problems.append(_damaged(video, note.read_text(encoding="utf-8", errors="replace")))
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
    _remove_partial(out, todo)  # an ffmpeg that outlived its killed run may have written on after the first time
    print(f"{done} videos, {frames} frames extracted to {out}; {len(videos) - len(todo)} were there already")
    report_problems(problems, Path(f"{out}.failed.csv"))
    if not done and len(todo) == len(videos):
        raise InputError(f"none of the {len(videos)} videos in {videos_folder} could be decoded")
    return problems


def _damaged(video: Video, error: str) -> Problem:
    return Problem(video.path, f"used, but damaged: {error}")


@run_cli
def main(arguments: list[str] | None = None) -> int:
    defaults = FrameSettings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path, help="folder of video files; subfolders are searched, too")
    parser.add_argument("out", type=Path, help="folder for the frames, e.g. data/anetqa/frames")
    parser.add_argument("--dataset", required=True, help=f"decides on the names: {', '.join(DATASETS)}")
    parser.add_argument("--fps", type=float, default=defaults.fps, help="frames a second (default: %(default)g)")
    parser.add_argument("--format", default=defaults.format, help="png or jpg (default: %(default)s)")
    parser.add_argument("--quality", type=int, default=defaults.quality, help="of jpg, 1..100 (default: %(default)s)")
    parser.add_argument("--short-side", type=int, help="shrink to this many pixels; training needs 384")
    parser.add_argument("--jobs", type=int, help="videos at a time (default: the number of processors)")
    options = parser.parse_args(arguments)
    if options.jobs is not None and options.jobs < 1:
        raise InputError(f"--jobs {options.jobs} must be at least 1")
    settings = FrameSettings(options.fps, options.format, options.quality, options.short_side)
    try:
        extract_frames(options.videos, options.out, options.dataset, settings, options.jobs)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here")
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
