"""Clip features on a device: pixels in, features handed back."""

import numpy as np
import torch

import modules  # noqa: F401
from datasets.video.windows import WindowBatch
from modules.inference.feature_extractor import FeatureExtractor
from modules.models.video_swin import VideoSwin, get_sizes

from .device import gpu


def windows(number: int) -> WindowBatch:
    """Of the published form: 32 frames of 224 x 224, half of them shared with the next window."""
    indices = np.arange(32) + 16 * np.arange(number)[:, None]
    return WindowBatch(np.zeros((16 * (number + 1), 224, 224, 3), np.uint8), indices)


def test_windows_of_a_video(monkeypatch):
    with gpu() as device:
        network = device.place(VideoSwin(get_sizes("base")))
        monkeypatch.setattr(network, "to", lambda *_: network)  # it is there
        extractor = FeatureExtractor(network, "cuda")
        with device.step("extraction: the first 4 windows") as first:
            found = [extractor(windows(4))]
        with device.step("extraction: 4 more") as more:
            found.append(extractor(windows(4)))
        with device.step("extraction: the last 3") as last:
            found.append(extractor(windows(3)))
        with device.step("extraction: a video's features") as handing_over:
            features = torch.cat(found).cpu()
    assert features.shape == (11, 1024)
    first.check(1110)
    more.check(1000)
    last.check(1110)
    handing_over.check(1, reads=1)
