"""One video file to what inference reads of it, in memory: the frames and clip features that the two steps of the
preprocessing and the reading of a dataset would give, without a dataset.
"""

import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datasets.errors import InputError, explained
from datasets.files import sha256_of
from datasets.frames import FrameReader, read_square
from datasets.sampling import sample_features, sample_frames
from datasets.video.decode_ahead import decode_ahead
from datasets.video.ffmpeg import VideoError, ffmpeg_input, find_damage, find_ffmpeg, run_ffmpeg
from datasets.video.frames import FrameSettings, extract_video
from datasets.video.library import Video
from datasets.video.windows import WindowBatch, WindowSettings
from modules.checkpoints.reader import read_checkpoint
from modules.checkpoints.video_swin import find_arch, load_video_swin
from modules.models.video_swin import VideoSwin, get_sizes

from .feature_extractor import STORED, FeatureExtractor

WINDOWS_AT_ONCE = 8  # as extract_features.py has it by default: features depend on it in the last bits


@dataclass(frozen=True)
class VideoInput:
    """Frames and clip features of a video, as inference reads them: F and S. Times are in seconds from its start."""

    frames: np.ndarray  # uint8 [F, 3, H, W], RGB
    frame_times: np.ndarray  # float [F]
    clips: np.ndarray | None  # float32 [S, width], or None if they are not wanted
    clip_spans: np.ndarray | None  # float [S, 2], start and end of each clip; None like `clips`
    seconds: float  # length of the video
    damage: str = ""  # the first error that the decoder met and went on after; "" for none


@dataclass(frozen=True)
class ClipSettings:
    """Settings that clip features depend on, as extract_features.py notes it in the file of features."""

    arch: str = "base"
    checkpoint_sha256: str | None = None  # None: not known, or a random start
    random_start: int | None = None  # seed of an untrained network
    windows: WindowSettings = field(default_factory=WindowSettings)
    precision: str = "32"
    store: str = "float32"

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "ClipSettings":
        """Reads the attributes of a file of features. Raises InputError when they are another version's."""
        with explained("the checkpoint's record of its clip features is another version's, without", KeyError):
            windows = WindowSettings(**{name: record[name] for name in WindowSettings.__dataclass_fields__})
            own = {name: record[name] for name in cls.__dataclass_fields__ if name != "windows"}
            return cls(windows=windows, **own)


def make_extractor(
    settings: ClipSettings | None, swin_path: str | Path | None, width: int, device: str, untrained: bool = False
) -> tuple[FeatureExtractor, ClipSettings, list[str]]:
    """The Video Swin that clip features come from.

    Args:
        settings: what the features were made with that the network was trained on; None: not known, taken to be as
            published, with whatever architecture the file and the width tell.
        swin_path: its checkpoint; None for one that was started at random.
        untrained: without settings and checkpoint, start one at random.

    Returns:
        the network, ready to run; the settings; notes for the user.

    Raises:
        InputError: the checkpoint is missing, is none of Video Swin, or gives features of another width.
    """
    notes = []
    if settings is None and swin_path is None and untrained:
        settings = ClipSettings(random_start=0)
    if settings is not None and settings.random_start is not None:
        if swin_path is not None:
            raise InputError(
                f"swin_path={str(swin_path)!r}: the checkpoint's clip features were made by an untrained Video Swin; "
                "drop swin_path"
            )
    elif swin_path is None:
        arch = f" {settings.arch}" if settings is not None else ""
        raise InputError(
            f"the clip features need the Video Swin{arch} checkpoint that the training features were made with: "
            "add swin_path=FILE (swin_base_patch244_window877_kinetics600_22k.pth for the published checkpoints)"
        )
    else:
        checkpoint = read_checkpoint(swin_path)
        if settings is None:
            settings = ClipSettings(arch=find_arch(checkpoint))
        elif settings.checkpoint_sha256 not in (None, sha256_of(swin_path)):
            notes.append(f"{swin_path} is another file than the one that the training features were made with")
    sizes = get_sizes(settings.arch)
    if sizes.width != width:
        raise InputError(
            f"Video Swin {settings.arch} gives features of {sizes.width} numbers, and the network takes {width}: "
            "give the swin_path that the training features were made with"
        )
    if settings.random_start is None:
        model = load_video_swin(checkpoint, settings.arch)
    else:
        model = VideoSwin(sizes)
        model.random_start(settings.random_start)
        notes.append("the clip features are those of a Video Swin that was never trained")
    return FeatureExtractor(model, device, settings.precision), settings, notes


def read_frames(
    path: Path, settings: FrameSettings, nframe: int, trim: float, image_size: int
) -> tuple[np.ndarray, np.ndarray, float, str]:
    """The frames that inference reads of a video: extracted and read as those of a dataset, but kept nowhere.

    Returns:
        frames, uint8 [nframe, 3, image_size, image_size]; their times and the length of the video in seconds; what is
        wrong with the video although it is used, or "".

    Raises:
        InputError: no frame of the video can be decoded, or there is no room for its frames.
    """
    with tempfile.TemporaryDirectory(prefix="dest_") as folder:
        try:
            files, count, damage = _extract_used(path, Path(folder), settings, nframe, trim)
        except VideoError as error:
            raise InputError(f"{path} is no video that can be used: {error}") from None
        if files is None:
            frames = FrameReader(folder, nframe, trim, image_size).read("video")
        else:
            squares = {file: read_square(file, image_size) for file in set(files)}
            frames = np.stack([squares[file] for file in files])
    seconds = count / settings.fps if settings.fps else (find_seconds(path) or count / 25)
    times = sample_frames(count, nframe, trim) * seconds / count
    return frames, times, seconds, damage


def _extract_used(
    path: Path, folder: Path, settings: FrameSettings, nframe: int, trim: float
) -> tuple[list[Path] | None, int, str]:
    """Writes the pictures of a video that are read of it, or all of them if that does not work.

    Returns:
        the file of each that is read, or None when all are in `folder`/video; the number of the video's pictures; the
        first error that ffmpeg met and went on after ("" for none).
    """
    began = time.monotonic()
    numbers = _number_pictures(path, settings)
    if len(numbers):
        # Once more the same decoding, but nothing is heard of it between the few pictures.
        patience = settings.stall_seconds + 10 * (time.monotonic() - began)
        few = _extract_few(path, folder, settings, numbers[sample_frames(len(numbers), nframe, trim)], patience)
        if few is not None:
            return few[0], len(numbers), few[1]
    return None, *extract_video(Video(path, "video"), folder / "video", settings)


def _number_pictures(path: Path, settings: FrameSettings) -> np.ndarray:
    """Numbers the frames that leave ffmpeg's filters and become pictures of `extract_video`, without making pictures.

    To keep the rate of the pictures, ffmpeg may repeat or drop frames after its filters. So each frame is made to hold
    its own number, and is written as `extract_video` would.

    Returns:
        int64 [pictures], strictly or not strictly increasing; empty when this cannot be told.
    """
    # Four grey pixels: the number's bytes, the lowest first.
    number = "scale=4:1:flags=neighbor,format=gray,geq='mod(floor(N/pow(256,X)),256)'"
    filters = ",".join([*_rate(settings), number])
    output = ["-vf", filters, "-f", "image2pipe", "-c:v", "rawvideo", "-flush_packets", "1", "-"]
    run = run_ffmpeg([*ffmpeg_input(path, threads=1), *output], settings.stall_seconds)
    if run.returncode != 0 or len(run.stdout) % 4:
        return np.empty(0, np.int64)
    numbers = np.frombuffer(run.stdout, "<u4").astype(np.int64)
    # Where frames change their size on the way, the filters begin to count anew.
    return numbers if (np.diff(numbers) >= 0).all() else np.empty(0, np.int64)


def _extract_few(
    path: Path, folder: Path, settings: FrameSettings, numbers: np.ndarray, patience: float
) -> tuple[list[Path], str] | None:
    """Writes some of the pictures of `extract_video` only.

    Args:
        numbers: int [n], non-decreasing, from `_number_pictures`.
        patience: seconds to wait for a picture.

    Returns:
        the file of each, and the first error that ffmpeg met and went on after ("" for none); None: it did not work.
    """
    wanted, place = np.unique(numbers, return_inverse=True)
    select = f"select='{'+'.join(f'eq(n,{number})' for number in wanted)}'"
    _, filters, *quality = replace(settings, fps=None).ffmpeg_output()
    few = folder / "few"
    few.mkdir()
    filters = ",".join([*_rate(settings), select, filters])
    output = ["-vf", filters, *quality, "-fps_mode", "passthrough", "-f", "image2"]
    pictures = f"file:{str(few).replace('%', '%%')}/%06d.{settings.format}"
    command = [*ffmpeg_input(path, threads=1), *output, pictures]
    run = run_ffmpeg(command, patience, lambda: sum(1 for _ in few.iterdir()))
    files = sorted(few.iterdir())
    if run.returncode != 0 or len(files) != len(wanted):
        return None
    return [files[index] for index in place], find_damage(run.stderr)


def _rate(settings: FrameSettings) -> list[str]:
    return [] if settings.fps is None else [f"fps={settings.fps:g}"]


def read_clips(
    path: Path, extractor: Callable[[WindowBatch], Tensor], settings: ClipSettings, max_video_len: int, seconds: float
) -> tuple[np.ndarray, np.ndarray, str]:
    """The clip features that inference reads of a video.

    Args:
        extractor: windows to features, as a `FeatureExtractor`.
        max_video_len: features at most; more are sampled down.

    Returns:
        features, float32 [S, width]; their spans [S, 2] in seconds; what is wrong with the video, or "".

    Raises:
        InputError: the video cannot be decoded, or its features are not finite.
    """
    parts = []
    num_frames, damage = 0, ""
    for message in decode_ahead([Video(path, "video")], settings.windows, WINDOWS_AT_ONCE, decoders=1, waiting=2):
        if message.batch is not None:
            parts.append(extractor(message.batch))
        elif message.failure:
            raise InputError(f"{path} is no video that can be used: {message.failure}")
        else:
            num_frames, damage = message.num_frames, message.damage
    with np.errstate(over="ignore"):  # becomes infinite, which is found below
        features = torch.cat(parts).cpu().numpy().astype(STORED[settings.store]).astype(np.float32)
    chosen = sample_features(len(features), max_video_len)
    if not np.isfinite(features[chosen]).all():
        raise InputError(f"{path}: its clip features are not finite in {settings.precision} bits")
    windows = settings.windows.indices(num_frames)[chosen]
    spans = np.stack([windows[:, 0], windows[:, -1] + 1], axis=1) * seconds / num_frames
    return features[chosen], spans, damage


def find_seconds(path: Path) -> float | None:
    """Length of a video, as the file itself says, else as the times of its packets do, to within a frame.

    Raises:
        VideoError: nothing comes of the file for too long.
    """
    ask = (find_ffmpeg(), "-nostdin", "-hide_banner", "-protocol_whitelist", "file", "-i", f"file:{path.absolute()}")
    said = run_ffmpeg([*ask]).stderr.decode(errors="replace")
    found = re.search(r"^  Duration: (\d+):(\d+):(\d+(?:\.\d+)?)", said, re.MULTILINE)
    if found is None:  # as in what a browser records, or a camera that lost its power
        command = [*ask, "-an", "-sn", "-dn", "-c", "copy", "-copyinkf", "-f", "null", "-progress", "pipe:1", "-"]
        said = run_ffmpeg(command).stdout.decode(errors="replace")
        found = re.search(r"(?s:.*)^out_time=(\d+):(\d+):(\d+(?:\.\d+)?)", said, re.MULTILINE)
    return None if found is None else 3600 * int(found[1]) + 60 * int(found[2]) + float(found[3])
