"""An answer as a picture: the frames with what was looked at in them, and below, along the video's time, when."""

import io
import os
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from datasets.errors import InputError
from datasets.files import atomic_write

from .predictor import Answer, EncodedVideo

FORMATS = (".png", ".pdf", ".svg")
_WIDTH = 9.0  # inches
_MOST_IN_A_ROW = 8
_GAP = 0.06  # between frames
_HEADER, _LABELS, _STRIP, _AXIS = 0.62, 0.24, 0.66, 0.46  # heights
_COLOURS = "inferno"  # of the strip
_GREY = "#444444"
_STYLE = {
    "font.size": 9,
    "text.parse_math": False,  # a question may hold dollars
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "dest",
}


def picture_paths(path: str | os.PathLike | None, number: int) -> list[Path]:
    """Paths for the pictures of so many answers: ``out.png``, or ``out_1.png, out_2.png …``; no path, no picture.

    Raises InputError when the path has no format for pictures.
    """
    if path is None:
        return []
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise InputError(
            f"save={str(path)!r}: the name of a picture ends in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        )
    return [path] if number == 1 else [path.with_stem(f"{path.stem}_{index + 1}") for index in range(number)]


def save_picture(path: str | os.PathLike, video: EncodedVideo, answer: Answer, dpi: int = 150) -> None:
    """Writes the picture of an answer, in the format that the path ends in. Raises InputError when it cannot."""
    kind = Path(path).suffix.lower()[1:]
    content = io.BytesIO()
    with mpl.rc_context(_STYLE):
        metadata = {"Date": None} if kind == "svg" else None
        draw_answer(video, answer).savefig(content, format=kind, dpi=dpi, metadata=metadata)
    with atomic_write(path, "wb") as file:
        file.write(content.getvalue())


def draw_answer(video: EncodedVideo, answer: Answer) -> Figure:
    """The picture of an answer that was asked for with its maps."""
    seen, maps = video.seen, answer.maps
    frames = seen.frames.transpose(0, 2, 3, 1)  # [F, H, W, 3]
    columns = min(len(frames), _MOST_IN_A_ROW)
    rows = -(-len(frames) // columns)
    side = min((_WIDTH - 0.3 + _GAP) / columns - _GAP, 2.2)
    width = max(columns * (side + _GAP) - _GAP + 0.3, 5.0)
    frames_height = rows * (side + _LABELS)
    height = _HEADER + frames_height + (_STRIP + _AXIS if maps.clips is not None else 0.05)
    figure = Figure(figsize=(width, height), facecolor="white")
    figure.text(0.15 / width, 1 - 0.22 / height, answer.question, weight="bold", size=11, va="center")
    said = f"{answer.best[0]}   {100 * answer.probabilities[0]:.1f} %"
    figure.text(0.15 / width, 1 - 0.44 / height, said, size=11, color="#b5361c", va="center")

    highest = float(maps.frames.max())
    for index, (frame, time) in enumerate(zip(frames, seen.frame_times, strict=True)):
        row, column = divmod(index, columns)
        left = 0.15 + column * (side + _GAP)
        bottom = height - _HEADER - row * (side + _LABELS) - side
        axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
        axes.imshow(light_up(frame, maps.frames[index].numpy() / highest))
        axes.set_axis_off()
        axes.text(
            0.5, -0.04 / side, f"{time:.1f} s", transform=axes.transAxes, size=8, ha="center", va="top", color=_GREY
        )
    if maps.clips is not None:
        axes = figure.add_axes((0.15 / width, _AXIS / height, 1 - 0.3 / width, (_STRIP - 0.12) / height))
        draw_strip(axes, maps.clips.numpy(), seen.clip_spans, seen.frame_times, seen.seconds)
    return figure


def light_up(frame: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """A frame, uint8 [H, W, 3], as it is where it was looked at ([h, w], at most 1), dark and grey elsewhere."""
    light = cv2.resize(np.sqrt(attention), frame.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    light = np.clip(light, 0, 1)[..., None]
    dark = 0.45 * frame.mean(-1, keepdims=True)
    return np.rint(light * frame + (1 - light) * dark).astype(np.uint8)


def draw_strip(axes: Axes, attention: np.ndarray, spans: np.ndarray, frame_times: np.ndarray, seconds: float) -> None:
    """Attention, [S], over time: a bar for each clip, around its middle; marks where the frames were taken."""
    edges = clip_edges(spans, seconds)
    shares = attention / attention.max()
    axes.bar(edges[:-1], shares, np.diff(edges), align="edge", color=mpl.colormaps[_COLOURS](0.15 + 0.65 * shares))
    axes.plot(frame_times, np.zeros(len(frame_times)), "^", color=_GREY, markersize=4, clip_on=False)
    axes.set(xlim=(0, edges[-1]), ylim=(0, 1.05), yticks=[])
    axes.set_xlabel("seconds; bars: attention to the clips, ▲: the frames above", color=_GREY, size=8)
    axes.spines[["top", "right", "left"]].set_visible(False)


def clip_edges(spans: np.ndarray, seconds: float) -> np.ndarray:
    """Starts and ends of clips, [S, 2], to edges of bars that do not overlap, [S + 1], all in seconds."""
    middles = spans.mean(1)
    return np.concatenate([[0.0], (middles[1:] + middles[:-1]) / 2, [max(seconds, spans[-1, 1])]])
