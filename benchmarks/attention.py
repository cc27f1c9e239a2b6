"""Test of whether attention shows where and when an answer was found: `python -m benchmarks.attention TOY [MODEL …]`.

TOY is the folder that scripts/demo.sh leaves, of which the events and the places of things are known. Each correctly
answered test question counts once:

- when: of questions of order, whether the clip with the most attention lies in the event that the answer names;
- where: of questions that a frame answers, whether the patch with the most attention, as a mean over the frames, is one
  of those where the thing in question stands.

`modules.inference.attention_maps` (dependence) is compared with the mean over heads and with ALBEF's gradient ×
attention, both of the same layer, and with a guess.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from torch import Tensor

import modules  # noqa: F401  (before anything that imports torchvision)
from datasets.clips import ClipFeatures
from datasets.errors import InputError, run_cli
from datasets.frames import FrameReader
from datasets.sources.anetqa import SOURCE
from modules.inference.attention_maps import attention_maps, weighted_heads
from modules.inference.predictor import EncodedVideo, Predictor
from modules.inference.video_input import VideoInput
from preproc.make_toy import draw_worlds
from preproc.toy.drawing import COLUMNS, ROWS
from preproc.toy.questions import ORDER
from preproc.toy.world import Event, Scene, ToyVideo

Cells = set[tuple[int, int]]  # row, column of patches
SIDE = 4  # patches, of the toy's frames


def mean_of_heads(attention: Tensor, gradient: Tensor) -> Tensor:
    """Attention as it is: two of [M, H, T] -> [M, T]."""
    return attention.mean(1)


def albef(attention: Tensor, gradient: Tensor) -> Tensor:
    """Grad-CAM of ALBEF: positive gradient × attention, a mean over heads."""
    return (gradient * attention).clamp(min=0).mean(1)


METHODS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean of heads": mean_of_heads,
    "ALBEF's Grad-CAM": albef,
    "dependence": weighted_heads,
}


@dataclass(frozen=True)
class Asked:
    """A question of the test split: text, answer, and whether it is of order."""

    text: str
    answer: str
    of_order: bool


def answered_event(events: tuple[Event, ...], text: str) -> int:
    """The event that a question of order asks for: the first, the last, or that after or before the one it names."""
    if text.endswith("at the beginning"):
        return 0
    if text.endswith("at the end"):
        return len(events) - 1
    clauses = [event.clause for event in events]
    for word, step in ((" after ", 1), (" before ", -1)):
        _, found, clause = text.partition(word)
        if found and clause in clauses:
            return clauses.index(clause) + step
    raise InputError(f"no event of the video is asked for by {text!r}: is TOY of another --seed, or another version?")


def asked_cells(scene: Scene, text: str, side: int = SIDE) -> Cells | None:
    """The patches, of side × side, where the thing in question stands; None for questions about the whole picture."""
    rows = list(ROWS)
    other_side = next(name for name in COLUMNS if name != scene.sign_side)
    if "stones" in text:
        return {(side - 1, column) for column in range(side)}
    if "below the sign" in text:
        place = scene.sign_side, rows[rows.index(scene.sign_height) + 1]
    elif "the sign" in text:
        place = scene.sign_side, scene.sign_height
    elif "other side" in text or text.startswith("is there a "):
        place = other_side, scene.thing_height
    else:
        return None
    return {(int(ROWS[place[1]] * side), int(COLUMNS[place[0]] * side))}


def encoded_videos(
    predictor: Predictor, toy: Path, videos: dict[str, ToyVideo]
) -> Iterator[tuple[ToyVideo, EncodedVideo, list[Asked]]]:
    """The videos of the test split, from what the demo has extracted, with their questions."""
    data, settings = toy / "data" / "anetqa", predictor.video_settings
    frames = FrameReader(data / "frames", settings.nframe, settings.trim, settings.image_size)
    width = predictor.network.sizes.input_video_embed_size
    clips = ClipFeatures(data / "anetqa.h5", width, settings.max_video_len, SOURCE.feature_key)
    table = SOURCE.read_questions(data / SOURCE.split_files["test"])
    questions = defaultdict(list)
    for index in range(len(table)):
        asked = Asked(table.question(index), table.answer(index), int(table.column("type")[index].as_py()) in ORDER)
        questions[table.video_ids[table.video(index)]].append(asked)
    for video_id, own in questions.items():
        if video_id not in videos:
            raise InputError(f"{data} has a video {video_id} that the toy world has not: give its --seed and --scale")
        features = clips.read(video_id) if predictor.network.temporal else None
        seen = VideoInput(frames.read(SOURCE.frame_directory.format(video_id=video_id)), None, features, None, 0.0)
        yield videos[video_id], EncodedVideo(Path(video_id), seen, predictor.encode(seen)), own


def measure(predictor: Predictor, toy: Path, videos: dict[str, ToyVideo]) -> dict[str, dict[str, list[float]]]:
    """Maps "when" and "where" -> method -> per question that counts, 1 if the peak is right; "guess": how likely."""
    found: dict[str, dict[str, list[float]]] = {"when": defaultdict(list), "where": defaultdict(list)}
    for video, encoded, questions in encoded_videos(predictor, toy, videos):
        answers = predictor.answer(encoded, [asked.text for asked in questions], num_best=1)
        for asked, answer in zip(questions, answers, strict=True):
            event = answered_event(video.events, asked.text) if asked.of_order else None
            cells = None if asked.of_order else asked_cells(video.scene, asked.text)
            if answer.best[0] != asked.answer or (event is None and cells is None):
                continue
            if event is not None and not predictor.network.temporal:
                continue
            question = predictor.encode_questions([asked.text])
            best = int(answer.logits.argmax())
            what = "where" if event is None else "when"
            for name, method in METHODS.items():
                answers = predictor.answer_features
                maps = attention_maps(predictor.network, question, encoded.memory, answers, best, method)
                if event is None:
                    right = divmod(int(maps.frames.mean(0).argmax()), SIDE) in cells
                else:
                    right = int(maps.clips.argmax()) * len(video.events) // len(maps.clips) == event
                found[what][name].append(right)
            found[what]["guess"].append(len(cells) / SIDE**2 if event is None else 1 / len(video.events))
    return found


@run_cli
def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("toy", type=Path, help="folder of scripts/demo.sh")
    models = ["anetqa_with_trm", "anetqa_without_trm", "anetqa_mean"]
    parser.add_argument("models", nargs="*", default=models, help="checkpoints in it (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the toy world (default: %(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="of the toy world (default: 1)")
    options = parser.parse_args(arguments)
    videos = {video.video_id: video for video in draw_worlds(options.seed, options.scale)["anetqa"]["test"]}
    table = Table(title="Peak of attention on the right spot, of correctly answered test questions")
    for name in ("model", "", "questions", "guess", *METHODS):
        table.add_column(name, justify="left" if name in ("model", "") else "right")
    for model in options.models:
        predictor = Predictor.open(options.toy / "checkpoints" / f"{model}.ckpt")
        for what, hits in measure(predictor, options.toy, videos).items():
            if hits:
                shares = [f"{np.mean(hits[name]):.1%}" for name in ("guess", *METHODS)]
                table.add_row(model, what, str(len(hits["dependence"])), *shares)
    Console(width=None if Console().is_terminal else 120).print(table)


if __name__ == "__main__":
    raise SystemExit(main())
