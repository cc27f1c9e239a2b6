"""Pictures of answers: what is lit, where bars stand, which files come out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from modules.inference.attention_maps import AttentionMaps
from modules.inference.picture import clip_edges, draw_answer, light_up, picture_paths, save_picture
from modules.inference.predictor import Answer, EncodedVideo
from modules.inference.video_input import VideoInput
from modules.models.dest import VideoMemory

SPANS = np.array([[0.0, 2.0], [1.0, 3.0], [2.0, 4.0]])


def make_answer() -> tuple[EncodedVideo, Answer]:
    frames, times = np.full((4, 3, 32, 32), 200, np.uint8), np.arange(4) / 3
    shares = torch.zeros(4, 2, 2)
    shares[0, 0, 1] = 1
    maps = AttentionMaps(shares, torch.tensor([0.1, 0.7, 0.2]))
    answer = Answer("what is it", ["red diamond", "no"], [0.75, 0.25], torch.zeros(2), maps)
    seen = VideoInput(frames, times, np.zeros((3, 8)), SPANS, 4.0)
    return EncodedVideo(Path("clip.mp4"), seen, VideoMemory()), answer


def test_lit_where_looked_at():
    frame = np.zeros((40, 60, 3), np.uint8)
    frame[..., 0] = 200  # red, so that grey differs
    lit = light_up(frame, np.array([[0.0, 0.0], [0.0, 1.0]]))
    assert lit.shape == frame.shape and lit[35, 55].tolist() == [200, 0, 0]
    assert np.ptp(lit[5, 5]) <= 3 and lit[5, 5].max() < 60  # dark grey


def test_bars_stand_where_clips_overlap_least():
    assert clip_edges(SPANS, 4.0).tolist() == [0, 1.5, 2.5, 4]
    figure = draw_answer(*make_answer())
    strip = figure.axes[-1]
    assert [bar.get_x() for bar in strip.patches] == [0, 1.5, 2.5]
    assert [bar.get_height() for bar in strip.patches] == pytest.approx([1 / 7, 1, 2 / 7])
    assert strip.get_xlim() == (0, 4)
    assert [axes.texts[0].get_text() for axes in figure.axes[:4]] == ["0.0 s", "0.3 s", "0.7 s", "1.0 s"]
    assert figure.texts[0].get_text() == "what is it" and "75.0 %" in figure.texts[1].get_text()


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_formats(tmp_path, suffix, start):
    (path,) = picture_paths(tmp_path / f"out.{suffix}", 1)
    video, answer = make_answer()
    answer = replace(answer, question=r"is $\foo$ here", best=[r"$\bar$", "no"])  # dollars are no maths
    save_picture(path, video, answer)
    first = path.read_bytes()
    assert first.startswith(start) and len(first) < 200_000
    assert suffix != "svg" or all(text in first.decode() for text in (r"is $\foo$ here", r"$\bar$"))
