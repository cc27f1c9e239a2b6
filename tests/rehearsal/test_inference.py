"""Asking about a video, its attention maps and their pictures, and clip features, on a device."""

from pathlib import Path

import numpy as np
import pytest
import torch

import modules  # noqa: F401
from datamodules.tokenization import load_tokenizer
from datasets.video.windows import WindowBatch
from modules.inference.feature_extractor import FeatureExtractor
from modules.inference.picture import save_picture
from modules.inference.predictor import EncodedVideo, Predictor, VideoSettings
from modules.inference.video_input import VideoInput
from modules.inference.web_demo import found_html
from modules.models.dest import DeST
from modules.models.video_swin import VideoSwin, get_sizes
from preproc.extract_frames import FrameSettings

from .device import gpu
from .training import SIZES

pytestmark = pytest.mark.gpu

WORDS = "[PAD] [UNK] [CLS] [SEP] what is it yes no red blue box person".split()
ANSWERS = ["yes", "no", "red", "blue box", "person", *(f"no {'red ' * count}" for count in range(2, 9))]
SPANS = np.stack([np.arange(5), np.arange(5) + 2], 1).astype(float)
SEEN = VideoInput(np.full((4, 3, 64, 64), 200, np.uint8), np.arange(4) / 3, np.ones((5, 16), np.float32), SPANS, 6.0)


def test_ask(monkeypatch, tmp_path):
    with gpu() as device:
        network = device.place(DeST(SIZES, drop_rate=0.0))
        monkeypatch.setattr(network, "to", lambda device: network)  # it is there
        formats = (VideoSettings(), FrameSettings(), None, None)
        predictor = Predictor(network, load_tokenizer(WORDS), ANSWERS, *formats, device.device, 16)
        with device.step("ask: look at a video of 4 frames") as looking:
            video = EncodedVideo(Path("clip.mp4"), SEEN, predictor.encode(SEEN))
        predictor.answer_features  # noqa: B018 (once for all questions)
        with device.step("ask: 2 questions") as asking:
            predictor.answer(video, ["what is it", "is it red"])
        with device.step("ask: a question, with maps") as mapping:
            (answer,) = predictor.answer(video, ["what is it"], with_maps=True)
        save_picture(tmp_path / "out.png", video, answer)
        assert "data:image/jpeg" in found_html(video, answer)
    # Answers, probabilities and logits are read, and two maps.
    looking.check(410)
    asking.check(620, reads=3)
    mapping.check(970, reads=5)


def test_features_of_a_video(monkeypatch):
    """Pixels in, features handed back; windows of 32 frames, half of them shared with the next."""
    found, budgets = [], {4: 1110, 3: 1110}
    with gpu() as device:
        network = device.place(VideoSwin(get_sizes("base")))
        monkeypatch.setattr(network, "to", lambda *_: network)  # it is there
        extractor = FeatureExtractor(network, "cuda")
        for number in (4, 4, 3):
            indices = np.arange(32) + 16 * np.arange(number)[:, None]
            windows = WindowBatch(np.zeros((16 * (number + 1), 224, 224, 3), np.uint8), indices)
            with device.step(f"extraction: {number} windows, {len(found)} batches before") as step:
                found.append(extractor(windows))
            step.check(budgets[number])
            budgets[4] = 1000  # what is made once for all batches of a size has been made
        with device.step("extraction: a video's features") as handing_over:
            features = torch.cat(found).cpu()
    assert features.shape == (11, 1024)
    handing_over.check(1, reads=1)
