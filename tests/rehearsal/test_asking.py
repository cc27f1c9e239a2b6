"""Asking about a video, its attention maps and their pictures, on a device."""

from pathlib import Path

import numpy as np

import modules  # noqa: F401
from datamodules.tokenization import load_tokenizer
from modules.inference.picture import save_picture
from modules.inference.predictor import EncodedVideo, Predictor, VideoSettings
from modules.inference.video_input import VideoInput
from modules.inference.web_demo import found_html
from modules.models.dest import DeST
from preproc.extract_frames import FrameSettings

from .device import gpu
from .training import SIZES

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "what", "is", "it", "yes", "no", "red", "blue", "box", "person"]
ANSWERS = ["yes", "no", "red", "blue box", "person", *(f"no {'red ' * count}" for count in range(2, 9))]
SEEN = VideoInput(
    frames=np.full((4, 3, 64, 64), 200, np.uint8),
    frame_times=np.arange(4) / 3,
    clips=np.ones((5, 16), np.float32),
    clip_spans=np.stack([np.arange(5), np.arange(5) + 2], 1).astype(float),
    seconds=6.0,
)


def make_predictor(device, monkeypatch) -> Predictor:
    network = device.place(DeST(SIZES, drop_rate=0.0))
    monkeypatch.setattr(network, "to", lambda device: network)  # it is there
    return Predictor(
        network, load_tokenizer(WORDS), ANSWERS, VideoSettings(), FrameSettings(), None, None, device.device, 16
    )


def test_ask(monkeypatch, tmp_path):
    with gpu() as device:
        predictor = make_predictor(device, monkeypatch)
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
    assert (tmp_path / "out.png").stat().st_size > 1000
