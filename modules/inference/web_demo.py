"""Asking in a browser: drop a video, ask, see the answers, and where and when they were found. `python run.py web`.

Gradio serves the page; it is in requirements-demo.txt. Nothing is sent anywhere: its telemetry is off, and the page
loads nothing from other hosts. Uploads are limited in size and length, and lie in a folder that is emptied every hour
and removed at the end.
"""

import base64
import functools
import gc
import html
import os
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from datasets.errors import InputError
from datasets.names import is_system_entry
from datasets.video.ffmpeg import VideoError
from datasets.video.library import SUFFIXES

from .picture import clip_edges, light_up
from .predictor import Answer, EncodedVideo, Predictor
from .settings import WebSettings
from .table import NOT_SURE, times_line
from .video_input import find_seconds

LONGEST_QUESTION = 500  # characters
MOST_EXAMPLES = 6
VISITORS_AT_ONCE = 8  # whose videos are decoded; the network answers one of them at a time
VIDEOS_KEPT = 2  # videos whose states stay in memory, for further questions about them
EMPTIED_EVERY, KEPT_FOR = 600, 3600  # seconds, of the folder of uploads

CSS = """
.answers { display: grid; grid-template-columns: minmax(80px, auto) 1fr auto; gap: 5px 12px; align-items: center; }
.answers .bar { height: 14px; background: var(--primary-500); border-radius: 2px; min-width: 1px; }
.answers .share { text-align: right; font-variant-numeric: tabular-nums; }
.answers .first { font-weight: 600; font-size: 16px; }
.frames { display: grid; grid-template-columns: repeat(auto-fill, minmax(92px, 1fr)); gap: 6px; }
.frames figure { margin: 0; }
.frames img { width: 100%; border-radius: 4px; display: block; }
.frames figcaption { font-size: 12px; text-align: center; color: var(--body-text-color-subdued); }
.strip { position: relative; height: 74px; margin-top: 18px; border-bottom: 1px solid var(--body-text-color-subdued); }
.strip .bar { position: absolute; bottom: 0; background: var(--primary-500); border-radius: 2px 2px 0 0; }
.strip .frame { position: absolute; bottom: -5px; margin-left: -4px; border: 4px solid transparent;
  border-bottom: 6px solid var(--body-text-color); border-top: 0; }
.axis { position: relative; height: 24px; font-size: 12px; color: var(--body-text-color-subdued); }
.axis span { position: absolute; top: 4px; transform: translateX(-50%); white-space: nowrap; }
.axis span:first-child { transform: none; }
.axis span:last-child { transform: translateX(-100%); }
.legend, .legend p { font-size: 13px; color: var(--body-text-color-subdued); margin-top: 6px; }
/* What this browser cannot play can be answered all the same; an error over it would hide the button that clears it. */
#video > [data-testid="status-tracker"] { display: none; }
/* Trimming loads a program from the web. */
button[aria-label^="Trim video"], button[aria-label^="Reset video"] { display: none; }
"""
PROMPT = '<p class="legend">The answers will be here, and where in the video they were found.</p>'
SHOW = "() => document.getElementById('found').scrollIntoView({behavior: 'smooth', block: 'nearest'})"


class WebDemo:
    """Answers for the page: keeps the videos asked about last, refuses what is too long.

    Args:
        predictor: answers. A video that takes long to decode, or stalls, keeps nobody else waiting.
        not_sure_below: probability of the best answer under which it is said to be not sure.
    """

    def __init__(self, predictor: Predictor, upload_seconds: float, not_sure_below: float = 0.0):
        self.predictor = predictor
        self.upload_seconds = upload_seconds
        self.not_sure_below = not_sure_below
        self._encode = functools.lru_cache(VIDEOS_KEPT)(self._read)

    def answer(self, video: str | None, question: str | None) -> str:
        """The answers, and where and when the first was found, as HTML. Raises InputError."""
        question = (question or "").strip()
        if video is None:
            raise InputError("There is no video yet: drop one, or take an example.")
        if not question:
            raise InputError("There is no question yet: write one.")
        if len(question) > LONGEST_QUESTION:
            raise InputError(f"The question is longer than {LONGEST_QUESTION} characters.")
        self.predictor.seconds.clear()
        try:
            encoded = self._encode(video)
        except InputError as error:  # names the file as the user knows it
            raise InputError(str(error).replace(video, Path(video).name)) from None
        (answer,) = self.predictor.answer(encoded, [question], with_maps=True)
        times = times_line(self.predictor.seconds)
        shown = answers_html(answer, self.not_sure_below)
        return shown + found_html(encoded, answer) + f'<p class="legend">{times}</p>'

    def _read(self, path: str) -> EncodedVideo:
        try:
            seconds = find_seconds(Path(path))
        except VideoError as error:
            raise InputError(f"{path} is no video that can be used: {error}") from None
        if seconds is None:
            raise InputError(f"{path} is no video that can be used: it does not say how long it is.")
        if seconds > self.upload_seconds:
            raise InputError(f"{path} is {seconds:.0f} s long; videos of up to {self.upload_seconds:g} s are taken.")
        return self.predictor.encode_video(path)


# --- what is shown ----------------------------------------------------------------------------------------------------


def answers_html(answer: Answer, not_sure_below: float = 0.0) -> str:
    """A bar for each answer, as long as it is probable; above them NOT_SURE, if the first is less probable."""
    parts = ['<div class="answers">']
    is_sure = answer.probabilities[0] >= not_sure_below
    if not is_sure:
        parts.append(f'<div class="first">{NOT_SURE}</div><div></div>')
        parts.append(f'<div class="share">&lt; {100 * not_sure_below:g} %</div>')
    for rank, (text, share) in enumerate(zip(answer.best, answer.probabilities, strict=True)):
        first = " first" if is_sure and rank == 0 else ""
        bar = f'<div class="bar" style="width:{100 * share:.1f}%"></div>'
        parts.append(f'<div class="answer{first}">{html.escape(text)}</div><div>{bar}</div>')
        parts.append(f'<div class="share{first}">{100 * share:.1f} %</div>')
    return "".join([*parts, "</div>"])


def found_html(video: EncodedVideo, answer: Answer) -> str:
    """The frames lit up where the answer was found, and attention over time."""
    parts = [f'<p class="legend">Where and when <b>{html.escape(answer.best[0])}</b> was found</p><div class="frames">']
    frames = video.seen.frames.transpose(0, 2, 3, 1)
    shares = answer.maps.frames.numpy() / float(answer.maps.frames.max())
    for frame, share, time in zip(frames, shares, video.seen.frame_times, strict=True):
        source = f"data:image/jpeg;base64,{_jpg(light_up(frame, share))}"
        parts.append(
            f'<figure><img src="{source}" alt="frame at {time:.1f} s"><figcaption>{time:.1f} s</figcaption></figure>'
        )
    parts.append("</div>")
    if answer.maps.clips is not None:
        parts += _strip(video, answer.maps.clips.numpy())
    return "".join(parts)


def _strip(video: EncodedVideo, attention: np.ndarray) -> Iterator[str]:
    edges = clip_edges(video.seen.clip_spans, video.seen.seconds)
    end = edges[-1]
    yield '<div class="strip" role="img" aria-label="attention over time">'
    for start, stop, share in zip(edges[:-1], edges[1:], attention / attention.max(), strict=True):
        place = f"left:{100 * start / end:.2f}%;width:{100 * (stop - start) / end:.2f}%;height:{100 * share:.1f}%"
        yield f'<div class="bar" style="{place}" title="{start:.1f}–{stop:.1f} s"></div>'
    for time in video.seen.frame_times:
        yield f'<div class="frame" style="left:{100 * time / end:.2f}%"></div>'
    yield '</div><div class="axis">'
    for share in (0, 0.25, 0.5, 0.75, 1):
        yield f'<span style="left:{100 * share}%">{share * end:.3g} s</span>'
    yield '</div><p class="legend">Bars: attention to the clips of the video. Triangles: the frames above.</p>'


def _jpg(picture: np.ndarray) -> str:
    """Uint8 RGB [H, W, 3], enlarged if it is tiny, as base64."""
    side = max(picture.shape[:2])
    if side < 192:
        picture = cv2.resize(picture, None, fx=192 / side, fy=192 / side, interpolation=cv2.INTER_NEAREST)
    return base64.b64encode(cv2.imencode(".jpg", picture[..., ::-1])[1].tobytes()).decode()


# --- the page ---------------------------------------------------------------------------------------------------------


def _is_video(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not is_system_entry(file.name)


def find_examples(paths: Sequence[str]) -> list[str]:
    """The first videos of files and folders. Raises InputError for what does not exist."""
    found = []
    for path in map(Path, paths):
        if path.is_dir():
            found += sorted(str(file) for file in path.iterdir() if _is_video(file))
        elif path.is_file():
            found.append(str(path))
        else:
            raise InputError(f"examples: there is no file or folder {str(path)!r}")
    return found[:MOST_EXAMPLES]


def serve(
    predictor: Predictor,
    host: str = WebSettings.host,
    port: int = WebSettings.port,
    examples: Sequence[str] = (),
    questions: Sequence[str] = (),
    upload_seconds: float = WebSettings.upload_seconds,
    upload_megabytes: int = WebSettings.upload_megabytes,
    not_sure_below: float = 0.0,
) -> None:
    """Serves the page until Ctrl-C or SIGTERM.

    Raises:
        InputError: Gradio is not installed, or the port is not free.
    """
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
    # Gradio calls its own server at the start, which no proxy can reach.
    os.environ |= {"NO_PROXY": "*", "no_proxy": "*"}
    with tempfile.TemporaryDirectory(prefix="dest_web_") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        try:
            import gradio
        except ImportError:
            raise InputError("the web demo needs Gradio: pip install -r requirements-demo.txt") from None
        limits = f"up to {upload_seconds:g} s and {upload_megabytes} MB"
        page = _make_page(gradio, WebDemo(predictor, upload_seconds, not_sure_below), examples, questions, limits)
        page.queue(default_concurrency_limit=VISITORS_AT_ONCE, max_size=32)
        try:
            page.launch(
                server_name=host,
                server_port=port,
                share=False,
                quiet=True,
                prevent_thread_lock=True,
                max_file_size=f"{upload_megabytes}mb",
                allowed_paths=[str(Path(path).resolve()) for path in examples],
                footer_links=[],
                css=CSS,
                theme=gradio.themes.Soft(font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace")),
                ssr_mode=False,
            )
        except OSError as error:
            raise InputError(f"host={host!r} port={port} cannot be used: {error}") from None
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        print(f"serving on http://{host}:{port} (Ctrl-C ends it)", flush=True)
        stop.wait()
        page.close(verbose=False)
        gc.freeze()  # or the interpreter's last collections take seconds


def _make_page(gradio: Any, demo: WebDemo, examples: Sequence[str], questions: Sequence[str], limits: str) -> Any:
    def answer(video: str | None, question: str | None) -> str:
        try:
            return demo.answer(video, question)
        except InputError as error:
            raise gradio.Error(str(error), duration=None, print_exception=False) from None

    known = f"The answer is one of {len(demo.predictor.vocabulary):,}."
    notes = [f"{note[0].upper()}{note[1:]}." for note in demo.predictor.notes]
    with gradio.Blocks(title="DeST: ask a video", delete_cache=(EMPTIED_EVERY, KEPT_FOR)) as page:
        gradio.Markdown(f"# Ask a video\n{' '.join([known, *notes])} Videos {limits} are taken.")
        with gradio.Row():
            with gradio.Column(min_width=300):
                video = gradio.Video(label="Video", sources=["upload"], height=260, elem_id="video")
                question = gradio.Textbox(
                    label="Question", placeholder="what is the person doing", max_length=LONGEST_QUESTION
                )
                button = gradio.Button("Ask", variant="primary")
                if examples:
                    gradio.Examples([[path] for path in examples], [video], label="Videos to try")
                if questions:
                    gradio.Examples([[text] for text in questions], [question], label="Questions to try")
            with gradio.Column(min_width=300):
                found = gradio.HTML(PROMPT, elem_id="found", container=True, padding=True, min_height=160)
        for event in (button.click, question.submit):
            event(answer, [video, question], found, api_visibility="private").success(None, js=SHOW)
    return page
