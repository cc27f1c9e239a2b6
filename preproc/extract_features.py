"""Videos to clip features: one HDF5 dataset a video, float [clips, width], by Video Swin.

    python preproc/extract_features.py VIDEOS data/anetqa/anetqa.h5 --dataset anetqa \\
        --checkpoint swin_base_patch244_window877_kinetics600_22k.pth

Stop it whenever you like and run the same command again: what is complete is not done again. OUT.h5 appears when all
videos are done; until then each has a file of its own in OUT.h5.parts. A video that cannot be read is skipped, and
listed at the end and in OUT.h5.failed.csv.

Several GPUs or machines: start the command once for each (torchrun or srun set the shard, or --shard 0/8 … 7/8), then
once more with --merge.
"""

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

if not __package__:  # run as a file: our own `datasets` lies beside this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import torch
from tqdm import tqdm

from datasets.errors import InputError, check_counts, run_cli
from datasets.files import reading
from datasets.video.decode_ahead import decode_ahead
from datasets.video.library import DATASETS, Problem, Video, find_ffmpeg, get_naming, list_videos, report_problems
from datasets.video.windows import WindowBatch, WindowSettings
from datasets.writing.feature_store import FeatureStore
from modules.checkpoints.video_swin import load_video_swin
from modules.config.machine_checks import check_compiler
from modules.models.video_swin import ARCHITECTURES, VideoSwin, get_sizes

# Of RGB in 0..255, as the published Video Swin was trained.
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
PRECISIONS = {"32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}
STORED = {"float32": np.float32, "float16": np.float16}

_CPU_IS_FULL = "DefaultCPUAllocator: can't allocate memory"  # a RuntimeError of PyTorch like any other


class FeatureExtractor:
    """Windows of pixels to features.

    Args:
        model: the network; it is moved to the device, and to the precision.
        precision: "32", "16" or "bf16".

    Raises:
        InputError: no such device.
    """

    def __init__(self, model: VideoSwin, device: str = "cpu", precision: str = "32", compile: bool = False):
        try:
            self.device = torch.empty(0, device=device).device
        except (RuntimeError, AssertionError) as error:  # AssertionError: torch was built without CUDA
            raise InputError(f"--device {device!r} cannot be used: {str(error).splitlines()[0]}") from None
        self.dtype = PRECISIONS[precision]
        model = model.eval().to(self.device, self.dtype)
        self.model = torch.compile(model) if compile else model
        self.mean = torch.tensor(MEAN, device=self.device).view(3, 1, 1)
        self.std = torch.tensor(STD, device=self.device).view(3, 1, 1)

    @torch.inference_mode()
    def __call__(self, batch: WindowBatch) -> np.ndarray:
        """Features of a batch's windows, float32 [B, width]."""
        frames = torch.from_numpy(batch.frames).to(self.device).permute(0, 3, 1, 2)  # [N', 3, S, S]
        frames = ((frames - self.mean) / self.std).to(self.dtype)
        clips = frames[torch.from_numpy(batch.indices).to(self.device)].transpose(1, 2)  # [B, 3, T, S, S]
        return self.model(clips).float().cpu().numpy()


@dataclass(frozen=True)
class Throughput:
    """How fast an extraction was."""

    clips: int
    seconds: float
    network_seconds: float  # of these, in the network

    def __str__(self) -> str:
        return f"{self.clips / self.seconds:.3g} clips/s, network busy {self.network_seconds / self.seconds:.0%}"


def extract_features(
    videos: Mapping[str, Video],
    store: FeatureStore,
    extractor: FeatureExtractor,
    windows: WindowSettings,
    batch_size: int = 8,
    decoders: int = 2,
    stored_as: str = "float32",
) -> Throughput:
    """Extracts the features of videos into the store, each as soon as it is complete.

    Args:
        videos: key in the store -> video.
        batch_size: windows at a time, of one video.
        decoders: videos decoded at a time.
        stored_as: "float32" or "float16".
    """
    keys = {video: key for key, video in videos.items()}
    collected: dict[Video, list[np.ndarray]] = {video: [] for video in keys}
    clips = 0
    busy = 0.0
    began = time.perf_counter()
    with tqdm(total=len(keys), desc="features", unit="video") as progress:
        for message in decode_ahead(list(keys), windows, batch_size, decoders, waiting=2 * decoders):
            if message.batch is not None:
                start = time.perf_counter()
                collected[message.video].append(extractor(message.batch))
                busy += time.perf_counter() - start
                continue
            key = keys[message.video]
            parts = collected.pop(message.video)
            failure = message.failure
            if not failure:
                with np.errstate(over="ignore"):  # becomes infinite, which is found below
                    features = np.concatenate(parts).astype(STORED[stored_as])
                if not np.isfinite(features).all():
                    failure = "its features are not finite: they need a higher --precision or --store"
            # The note comes first: a video that has its features is not looked at again.
            if failure:
                store.write_note(key, failure)
            elif message.damage:
                store.write_note(key, f"used, but damaged: {message.damage}")
            else:
                store.remove_note(key)
            if not failure:
                store.write(key, features)
                clips += len(features)
            progress.update()
            progress.set_postfix_str(str(Throughput(clips, time.perf_counter() - began, busy)))
    return Throughput(clips, time.perf_counter() - began, busy)


def default_shard() -> tuple[int, int]:
    """This process and the number of processes, as torchrun or srun say; (0, 1) without them."""
    for rank, count in (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS")):
        if rank in os.environ and count in os.environ:
            return int(os.environ[rank]), int(os.environ[count])
    return 0, 1


def parse_shard(text: str) -> tuple[int, int]:
    """``"i/n"`` with 0 <= i < n, as two numbers."""
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise InputError(f"--shard {text!r} must be i/n with i from 0 to n - 1, e.g. 0/8 … 7/8")
    return int(index), int(count)


def default_device() -> str:
    """The GPU that torchrun or srun give this process, the first one without them, or the CPU."""
    if not torch.cuda.is_available():
        return "cpu"
    local = int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0")))
    return f"cuda:{local % torch.cuda.device_count()}"


def sha256(path: Path) -> str:
    """The hash of a file, as hexadecimal digits. Raises InputError when it cannot be read."""
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@run_cli
def main(arguments: list[str] | None = None) -> int:
    defaults = WindowSettings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path, help="folder of video files; subfolders are searched, too")
    parser.add_argument("out", type=Path, help="the HDF5 file, e.g. data/anetqa/anetqa.h5")
    parser.add_argument("--dataset", required=True, help=f"decides on the keys: {', '.join(DATASETS)}")
    parser.add_argument("--arch", default="base", help=f"{', '.join(ARCHITECTURES)} (default: %(default)s)")
    weights = parser.add_mutually_exclusive_group(required=True)
    weights.add_argument("--checkpoint", type=Path, help="published Video Swin weights")
    weights.add_argument("--random-start", type=int, metavar="SEED", help="random weights: for a toy, not for real use")
    parser.add_argument("--clip-len", type=int, default=defaults.clip_len, help="frames of a window (%(default)s)")
    parser.add_argument(
        "--frame-interval", type=int, default=defaults.frame_interval, help="between them (%(default)s)"
    )
    parser.add_argument(
        "--window-interval",
        type=int,
        default=defaults.window_interval,
        help="between windows, in frame intervals (default: %(default)s; the published VATEX features have 32)",
    )
    parser.add_argument("--size", type=int, default=defaults.size, help="pixels of a side (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=8, help="windows at a time (default: %(default)s)")
    parser.add_argument("--precision", default="32", choices=PRECISIONS, help="of the network (default: %(default)s)")
    parser.add_argument("--store", default="float32", choices=STORED, help="numbers on disk (default: %(default)s)")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 … (default: this process' GPU if there is one)")
    parser.add_argument("--compile", action="store_true", help="torch.compile the network")
    parser.add_argument("--decoders", type=int, default=min(16, os.cpu_count()), help="videos decoded at a time")
    parser.add_argument("--shard", help="i/n: do the videos i, i + n, … only; --merge when all shards are done")
    parser.add_argument("--merge", action="store_true", help="join the parts of all shards, extract nothing")
    options = parser.parse_args(arguments)

    check_counts(options, "batch_size", "decoders")
    if options.compile and not options.merge:
        on_gpu = (options.device or default_device()).startswith("cuda")
        check_compiler(on_gpu, os.environ, "--compile", "leave out --compile")
    naming = get_naming(options.dataset)
    find_ffmpeg()  # one that cannot be used is found before anything is made
    videos, problems = list_videos(options.videos, naming)
    keys = {naming.feature_key.format(video_id=video.video_id): video for video in videos}
    windows = WindowSettings(options.clip_len, options.frame_interval, options.window_interval, options.size)
    settings = {
        **{"arch": options.arch, "width": get_sizes(options.arch).width},
        "checkpoint_sha256": sha256(options.checkpoint) if options.checkpoint else None,
        "random_start": options.random_start,
        **asdict(windows),
        **{"precision": options.precision, "store": options.store},
    }
    store = FeatureStore(options.out, settings)
    index, count = parse_shard(options.shard) if options.shard else default_shard()
    with store.writing(None if count == 1 or options.merge else index):
        return _extract_all(options, windows, store, keys, problems, (index, count))


def _extract_all(
    options: argparse.Namespace,
    windows: WindowSettings,
    store: FeatureStore,
    keys: dict[str, Video],
    problems: list[Problem],
    shard: tuple[int, int],
) -> int:
    """Extracts one shard of the videos (key -> video) and, if there are no others, merges; returns the exit code."""
    index, count = shard
    todo = {key: video for key, video in list(keys.items())[index::count] if key not in store}
    if todo and not options.merge:
        extractor = make_extractor(options)
        print(f"shard {index} of {count}: {len(todo)} videos to do")
        try:
            extract_features(todo, store, extractor, windows, options.batch_size, options.decoders, options.store)
        except KeyboardInterrupt:
            print("stopped; the same command goes on from here")
            return 130
        except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
            if not (isinstance(error, torch.OutOfMemoryError | MemoryError) or _CPU_IS_FULL in str(error)):
                raise
            raise InputError(f"out of memory: lower --batch-size (it is {options.batch_size})") from None
    if count > 1 and not options.merge:
        print(f"shard {index} of {count} is done; when all are: the same command with --merge and without the shard")
        return 0
    store.refresh()  # where there are no locks, a second run may have merged
    notes = {key: store.note(key) for key in keys}
    missing = [video.path for key, video in keys.items() if key not in store and notes[key] is None]
    if missing:
        raise InputError(
            f"{len(missing)} videos are not done yet (first: {missing[0]}): run the shards that are missing"
        )
    problems += [Problem(keys[key].path, note) for key, note in notes.items() if note is not None]
    report_problems(problems, Path(f"{options.out}.failed.csv"))
    if not any(key in store for key in keys):
        raise InputError(f"none of the {len(keys)} videos in {options.videos} could be used")
    print(f"{store.merge(keys)} videos in {options.out}")
    return 0


def make_extractor(options: argparse.Namespace) -> FeatureExtractor:
    """The network that the command line asks for, ready to run."""
    if options.checkpoint:
        model = load_video_swin(options.checkpoint, options.arch)
    else:
        model = VideoSwin(get_sizes(options.arch))
        model.random_start(options.random_start)
        print(f"random weights (seed {options.random_start}): features for a toy, not for real use")
    device = options.device or default_device()
    print(f"Video Swin {options.arch}, {model.sizes.width} numbers a clip, on {device}")
    return FeatureExtractor(model, device, options.precision, options.compile)


if __name__ == "__main__":
    raise SystemExit(main())
