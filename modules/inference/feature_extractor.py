"""Clip features by Video Swin on a device: of windows of pixels, and of many videos into a file of features."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from datasets.errors import InputError
from datasets.video.decode_ahead import decode_ahead
from datasets.video.library import Video
from datasets.video.windows import WindowBatch, WindowSettings
from datasets.writing.feature_store import FeatureStore
from modules.models.transfer import send
from modules.models.video_swin import VideoSwin

# Of RGB in 0..255, as the published Video Swin was trained.
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
PRECISIONS = {"32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}
STORED = {"float32": np.float32, "float16": np.float16}


class FeatureExtractor:
    """Windows of pixels to features.

    Args:
        model: the network; it is moved to the device, and to the precision.

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
        self.mean, self.std = (send(torch.tensor(numbers).view(3, 1, 1), self.device) for numbers in (MEAN, STD))

    @torch.inference_mode()
    def __call__(self, batch: WindowBatch) -> Tensor:
        """Features of a batch's windows, float32 [B, width]: on the device, which is not waited for."""
        frames = send(torch.from_numpy(batch.frames), self.device).permute(0, 3, 1, 2)  # [N', 3, S, S]
        frames = ((frames - self.mean) / self.std).to(self.dtype)
        clips = frames[send(torch.from_numpy(batch.indices), self.device)].transpose(1, 2)  # [B, 3, T, S, S]
        return self.model(clips).float()


@dataclass(frozen=True)
class Throughput:
    """Speed of an extraction."""

    clips: int
    seconds: float
    network_seconds: float  # of these, in the network or waiting for it

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
    """
    keys = {video: key for key, video in videos.items()}
    collected: dict[Video, list[Tensor]] = {video: [] for video in keys}
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
                    start = time.perf_counter()
                    features = torch.cat(parts).cpu().numpy()  # the one time that the device is waited for
                    busy += time.perf_counter() - start
                    features = features.astype(STORED[stored_as])
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
