"""Clip features per second: `python -m benchmarks.features [--arch base] [--windows 4] [--precision 32 bf16]`.

One table, of one run: the pipeline of preproc/extract_features.py against a plain loop (decode all; for each window
resize, crop and normalise its frames, one forward by torchvision's network), and each of its parts alone. A second
table compares the frames transform of training with Pillow's. Random weights, generated videos.
"""

import argparse
import contextlib
import io
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import nn

import modules  # noqa: F401  (before anything that imports torchvision)
from datasets.errors import InputError, run_cli
from datasets.frames import read_square
from datasets.video.decoding import VideoFrames
from datasets.video.ffmpeg import find_ffmpeg
from datasets.video.frames import FrameSettings
from datasets.video.library import Video
from datasets.video.windows import WindowBatch, WindowSettings, window_batches
from datasets.writing.feature_store import FeatureStore
from modules.inference.feature_extractor import (
    MEAN,
    PRECISIONS,
    STD,
    FeatureExtractor,
    Throughput,
    extract_features,
)
from modules.models.precision import TF32, switch_devices
from modules.models.video_swin import ARCHITECTURES, VideoSwin

from .measure import machine

VIDEO_SIZE = "340x256"


def make_videos(folder: Path, number: int, windows: int, settings: WindowSettings) -> list[Video]:
    """Generated videos of so many windows each."""
    ahead = settings.clip_len // 2 * settings.frame_interval
    frames = ahead + (windows - 1) * settings.window_interval * settings.frame_interval + 1
    videos = []
    for index in range(number):
        path = folder / f"{index}.mp4"
        source = ["-f", "lavfi", "-i", f"testsrc2=s={VIDEO_SIZE}:r=25,noise=alls=12:allf=t"]
        command = [find_ffmpeg(), "-v", "error", *source, "-frames:v", str(frames), "-pix_fmt", "yuv420p", str(path)]
        subprocess.run(command, check=True)
        videos.append(Video(path, str(index)))
    return videos


def torchvision_network(model: VideoSwin) -> nn.Module:
    """torchvision's own network with the same weights."""
    from torchvision.models.video.swin_transformer import SwinTransformer3d

    sizes = model.sizes
    network = SwinTransformer3d(
        *(list(sizes.patch_size), sizes.embed_dim, list(sizes.depths), list(sizes.num_heads), list(sizes.window_size))
    )
    network.head = nn.Identity()
    network.load_state_dict(model.state_dict())
    return network.eval()


@torch.inference_mode()
def plain_loop(path: Path, network: nn.Module, settings: WindowSettings, device: str) -> np.ndarray:
    """Features of a video, the simple way. float32 [B, width]."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (frame := capture.read()[1]) is not None:
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    features = []
    for indices in settings.indices(len(frames)):
        pixels = []
        for index in indices:
            height, width = frames[index].shape[:2]
            scale = settings.size / min(height, width)
            resized = cv2.resize(frames[index], (int(width * scale + 0.5), int(height * scale + 0.5)))
            top, left = (resized.shape[0] - settings.size) // 2, (resized.shape[1] - settings.size) // 2
            crop = resized[top : top + settings.size, left : left + settings.size].astype(np.float32)
            pixels.append((crop - np.float32(MEAN)) / np.float32(STD))
        clip = torch.from_numpy(np.stack(pixels)).permute(3, 0, 1, 2)[None].to(device)
        features.append(network(clip)[0].cpu().numpy())
    return np.stack(features)


def pipeline(videos: list[Video], extractor: FeatureExtractor, settings: WindowSettings, batch_size: int) -> Throughput:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        store = FeatureStore(Path(folder) / "a.h5", {})
        store.start()
        keyed = {video.video_id: video for video in videos}
        return extract_features(keyed, store, extractor, settings, batch_size)


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _run_all(extractor: FeatureExtractor, batches: list[WindowBatch]) -> np.ndarray:
    return torch.cat([extractor(batch) for batch in batches]).cpu().numpy()


def features_table(arch: str, windows: int, precisions: list[str], device: str, batch_size: int) -> Table:
    """Clips per second of the plain loop, the pipeline, and its parts."""
    switch_devices("32")
    settings = WindowSettings()
    model = VideoSwin(ARCHITECTURES[arch]).eval()
    model.random_start(0)
    reference = torchvision_network(model).to(device)
    table = Table("", "clips/s", "× plain", "network busy", title=f"Video Swin {arch}, {VIDEO_SIZE} video, {device}")
    with tempfile.TemporaryDirectory() as folder:
        videos = make_videos(Path(folder), 2, windows, settings)
        clips = 2 * windows
        clip = torch.zeros(1, 3, settings.clip_len, settings.size, settings.size, device=device)
        with torch.inference_mode():
            reference(clip)  # warm
        plain = clips / seconds(lambda: [plain_loop(video.path, reference, settings, device) for video in videos])
        table.add_row("plain loop, float32, torchvision's network", f"{plain:.3g}", "1", "")

        decoding = seconds(lambda: [list(window_batches(VideoFrames(v.path), settings, batch_size)) for v in videos])
        table.add_row("decoding, resizing, windows", f"{clips / decoding:.3g}", f"{clips / decoding / plain:.2f}", "")
        batches = [batch for video in videos for batch in window_batches(VideoFrames(video.path), settings, batch_size)]
        for precision in precisions:
            switch_devices(precision)
            extractor = FeatureExtractor(model.float(), device, precision)
            _run_all(extractor, batches[:1])  # warm
            alone = clips / seconds(lambda extractor=extractor: _run_all(extractor, batches))
            table.add_row(f"network, {precision}", f"{alone:.3g}", f"{alone / plain:.2f}", "")
            whole = pipeline(videos, extractor, settings, batch_size)
            rate = whole.clips / whole.seconds
            busy = f"{whole.network_seconds / whole.seconds:.0%}"
            table.add_row(f"whole pipeline, {precision}", f"{rate:.3g}", f"{rate / plain:.2f}", busy)
    return table


def pillow_square(path: Path, size: int) -> np.ndarray:
    """The published transform, up to its scaling: uint8 [3, S, S] RGB."""
    image = Image.open(path).convert("RGB")
    width, height = image.size
    new = (size, int(size * height / width)) if width <= height else (int(size * width / height), size)
    left, top = round((new[0] - size) / 2), round((new[1] - size) / 2)
    square = image.resize(new, Image.Resampling.BICUBIC).crop((left, top, left + size, top + size))
    return np.asarray(square).transpose(2, 0, 1)


def frames_table(repeats: int = 30) -> Table:
    """Milliseconds to read one frame as a square of 384 pixels, by Pillow and by us."""
    table = Table("frame", "Pillow, ms", "ours, ms", "×", "difference of 255: mean, max", title="frames transform")
    with tempfile.TemporaryDirectory() as folder:
        for name, size, options in (
            ("png, 1280 x 720", "1280x720", FrameSettings()),
            ("jpg, 1280 x 720", "1280x720", FrameSettings(format="jpg")),
            ("jpg, short side 384", "1280x720", FrameSettings(format="jpg", short_side=384)),
            ("png, 340 x 256", "340x256", FrameSettings()),
            ("jpg, 340 x 256", "340x256", FrameSettings(format="jpg")),
        ):
            path = Path(folder) / f"1.{options.format}"
            source = ["-f", "lavfi", "-i", f"testsrc2=s={size}:r=3"]
            output = [*options.ffmpeg_output(), "-frames:v", "1", "-update", "1", str(path)]
            subprocess.run([find_ffmpeg(), "-v", "error", "-y", *source, *output], check=True)
            difference = np.abs(read_square(path, 384).astype(int) - pillow_square(path, 384))
            theirs = min(seconds(lambda path=path: pillow_square(path, 384)) for _ in range(repeats))
            ours = min(seconds(lambda path=path: read_square(path, 384)) for _ in range(repeats))
            error = f"{difference.mean():.2f}, {difference.max()}"
            table.add_row(name, f"{1000 * theirs:.2f}", f"{1000 * ours:.2f}", f"{theirs / ours:.2f}", error)
    return table


@run_cli
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="base", choices=ARCHITECTURES)
    parser.add_argument("--windows", type=int, default=4, help="of each of two videos (default: %(default)s)")
    parser.add_argument("--precision", nargs="+", default=["32", "bf16"], choices=PRECISIONS)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    if TF32 in options.precision and torch.device(options.device).type == "cpu":
        raise InputError("--precision tf32 needs a GPU: add --device cuda")
    console = Console(width=100)
    console.print(machine())
    console.print(features_table(options.arch, options.windows, options.precision, options.device, options.batch_size))
    console.print(frames_table())


if __name__ == "__main__":
    raise SystemExit(main())
