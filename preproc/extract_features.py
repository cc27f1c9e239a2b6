r"""Videos to clip features: one HDF5 dataset per video, float [clips, width], by Video Swin.

    python preproc/extract_features.py VIDEOS data/anetqa/anetqa.h5 --dataset anetqa \
        --checkpoint swin_base_patch244_window877_kinetics600_22k.pth

Stop it whenever you like and run the same command again: what is complete is not done again. OUT.h5 appears when all
videos are done; until then each has a file of its own in OUT.h5.parts. A video that cannot be read is skipped, and
listed at the end and in OUT.h5.failed.csv.

Several GPUs or machines: start the command once for each (torchrun or srun set the shard, or --shard 0/8 … 7/8), then
once more with --merge.
"""

import argparse
import os
import sys
from dataclasses import asdict
from pathlib import Path

if not __package__:  # run as a file: our own `datasets` lies beside this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch

from datasets.errors import InputError, check_counts, run_cli
from datasets.files import sha256_of
from datasets.sources import get_source
from datasets.video.ffmpeg import find_ffmpeg
from datasets.video.library import DATASETS, Problem, Video, list_videos, report_problems
from datasets.video.windows import WindowSettings
from datasets.writing.feature_store import FeatureStore
from modules.checkpoints.video_swin import load_video_swin
from modules.config.machine_checks import check_compiler
from modules.inference.feature_extractor import PRECISIONS, STORED, FeatureExtractor, extract_features
from modules.models.device_settings import TF32, switch_devices
from modules.models.memory import full_memory
from modules.models.video_swin import ARCHITECTURES, VideoSwin, get_sizes


def default_shard() -> tuple[int, int]:
    """Rank of this process and the number of processes, as torchrun or srun say; (0, 1) without them."""
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


def make_parser() -> argparse.ArgumentParser:
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
    return parser


@run_cli
def main(arguments: list[str] | None = None) -> int:
    options = make_parser().parse_args(arguments)
    check_counts(options, "batch_size", "decoders")
    if options.compile and not options.merge:
        on_gpu = (options.device or default_device()).startswith("cuda")
        check_compiler(on_gpu, os.environ, "--compile", "leave out --compile")
    source = get_source(options.dataset)
    find_ffmpeg()  # one that cannot be used is found before anything is made
    videos, problems = list_videos(options.videos, source)
    keys = {source.feature_key.format(video_id=video.video_id): video for video in videos}
    windows = WindowSettings(options.clip_len, options.frame_interval, options.window_interval, options.size)
    settings = {
        **{"arch": options.arch, "width": get_sizes(options.arch).width},
        "checkpoint_sha256": sha256_of(options.checkpoint) if options.checkpoint else None,
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
        except (RuntimeError, MemoryError) as error:
            if full_memory(error) is None:
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
    switch_devices(options.precision)
    print(f"Video Swin {options.arch}, {model.sizes.width} numbers per clip, on {device}")
    extractor = FeatureExtractor(model, device, options.precision, options.compile)
    if options.precision == TF32 and extractor.device.type == "cpu":
        raise InputError("--precision tf32 needs a GPU; write --precision 32")
    return extractor


if __name__ == "__main__":
    raise SystemExit(main())
