"""A small world to try everything on: videos of shapes that act in a row, annotated like the four real datasets.

    python preproc/make_toy.py -o toy/raw

Writes real .mp4 files, and annotations in the formats in which the datasets are published, so that all that follows
is the same as for them. The same seed and scale give the same files.

    OUT/anetqa/  videos/v_<id>.mp4  {train,val,test}_{q,a}.json          questions about events in a row
    OUT/agqa/    videos/<id>.mp4    {train,test}_balanced.txt            the same in AGQA's manner
    OUT/nextqa/  videos/0000/<id>.mp4  {train,val,test}.csv map_vid_vidorID.json   multiple choice
    OUT/vatex/   videos/<id>.mp4    vatex_{training,validation}_v1.0.json  one event each, ten captions
    OUT/tgif/    videos/<id>.mp4    tgif-v1.0.tsv train.txt val.txt      one event each, one caption
    OUT/stills/  as anetqa: short videos and questions that a single frame answers, for a first training of the image
                 and the text encoder, which with real data comes from ALBEF
    OUT/tokenizer/vocab.txt         a WordPiece vocabulary of the toy world's words
"""

import argparse
import csv
import os
import shutil
import string
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: our own `datasets` lies beside this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
from tqdm import tqdm

from datasets.errors import InputError, explained, run_cli
from datasets.files import atomic_write, write_json
from datasets.video.ffmpeg import find_ffmpeg
from preproc.toy import choices, composed, questions
from preproc.toy.drawing import render
from preproc.toy.world import EVENT_FRAMES, EVENTS_IN_A_ROW, FPS, ToyVideo, captions, draw_video

# Videos at scale 1.
COUNTS = {
    "stills": {"train": 600, "val": 60, "test": 60},
    "anetqa": {"train": 240, "val": 60, "test": 120},
    "agqa": {"train": 240, "test": 80},
    "nextqa": {"train": 240, "val": 60, "test": 120},
    "vatex": {"train": 480, "val": 100},
    "tgif": {"train": 240, "val": 60},
}
VIDEOS_AT_ONCE = 40  # of one ffmpeg process, whose start takes longer than a video

Videos = dict[str, list[ToyVideo]]  # split -> its videos


def make_toy(
    out: str | os.PathLike, seed: int = 0, scale: float = 1.0, size: int = 96, jobs: int | None = None
) -> dict[str, int]:
    """Writes the toy world.

    Args:
        out: a folder; what an earlier call left in it is replaced.
        scale: multiplies the numbers of videos in COUNTS; at least four of each.

    Returns:
        dataset -> number of videos.

    Raises:
        InputError: H.264 has no frames of this size.
    """
    if size < 2 or size % 2:
        raise InputError(f"--size {size}: H.264 needs an even number of pixels, as 96")
    out = Path(out)
    worlds = draw_worlds(seed, scale)
    write_annotations(out, worlds, seed)
    tasks = []
    for name, videos in worlds.items():
        folder = _fresh_folder(out / name / "videos")
        if name == "nextqa":  # VidOR's videos come in folders
            folder = _fresh_folder(folder / choices.FOLDER)
        prefix = "v_" if name in ("anetqa", "stills") else ""
        all_videos = [video for own in videos.values() for video in own]
        for start in range(0, len(all_videos), VIDEOS_AT_ONCE):
            tasks.append((all_videos[start : start + VIDEOS_AT_ONCE], folder, prefix, size))
    total = sum(len(task[0]) for task in tasks)
    with (
        ProcessPoolExecutor(jobs or os.cpu_count()) as pool,
        tqdm(total=total, desc="toy videos", unit="video") as progress,
    ):
        for count in pool.map(encode_videos, *zip(*tasks, strict=True)):
            progress.update(count)
    return {name: sum(map(len, videos.values())) for name, videos in worlds.items()}


def draw_worlds(seed: int = 0, scale: float = 1.0) -> dict[str, Videos]:
    """dataset -> its videos, as COUNTS has them."""
    return {name: draw_videos(name, splits, scale, seed) for name, splits in COUNTS.items()}


def write_annotations(out: Path, worlds: dict[str, Videos], seed: int = 0) -> None:
    """All of the toy world but the videos."""
    texts: set[str] = set()
    for name, videos in worlds.items():
        texts |= WRITERS[name](out / name, videos, np.random.default_rng((seed, *name.encode())))
    write_vocabulary(out / "tokenizer" / "vocab.txt", texts)


def _fresh_folder(folder: Path) -> Path:
    with explained(f"cannot write {folder}"):
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
    return folder


def draw_videos(name: str, splits: dict[str, int], scale: float, seed: int) -> Videos:
    """The videos of a dataset; each depends on the seed, the dataset, the split and its own number alone."""
    events, num_frames = {
        "stills": (2, FPS),
        "anetqa": (EVENTS_IN_A_ROW, EVENTS_IN_A_ROW * EVENT_FRAMES),
        "agqa": (EVENTS_IN_A_ROW, EVENTS_IN_A_ROW * EVENT_FRAMES),
        "nextqa": (EVENTS_IN_A_ROW, EVENTS_IN_A_ROW * EVENT_FRAMES),
        "vatex": (1, EVENT_FRAMES),
        "tgif": (1, EVENT_FRAMES),
    }[name]
    return {
        split: [
            draw_video(
                f"{name}_{split}_{number:05}",
                events,
                num_frames,
                np.random.default_rng((seed, number, *f"{name}/{split}".encode())),
            )
            for number in range(max(4, round(count * scale)))
        ]
        for split, count in splits.items()
    }


# --- videos ----------------------------------------------------------------------------------------------------------


def encode_videos(videos: Sequence[ToyVideo], folder: Path, prefix: str, size: int) -> int:
    """Renders videos and writes them as H.264, all by one ffmpeg, whose output is cut where a video begins."""
    cuts = np.cumsum([video.num_frames for video in videos])[:-1]
    with tempfile.TemporaryDirectory(dir=folder) as partial:
        command = [
            *(find_ffmpeg(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size}x{size}"),
            *("-r", str(FPS), "-i", "-", "-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-threads", "1"),
            *("-bf", "0", "-pix_fmt", "yuv420p", "-fflags", "+bitexact", "-flags", "+bitexact"),
            *("-f", "segment", "-reset_timestamps", "1", "-segment_format", "mp4"),
        ]
        if len(cuts):
            command += ["-force_key_frames", ",".join(f"{cut / FPS:.3f}" for cut in cuts)]
            command += ["-segment_frames", ",".join(map(str, cuts))]
        else:
            command += ["-segment_time", "3600"]
        command.append(f"{partial}/%06d.mp4")
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            for video in videos:
                for frame in render(video, size):
                    process.stdin.write(frame.tobytes())
        except BrokenPipeError:
            pass  # ffmpeg says why
        errors = process.communicate()[1].decode(errors="replace").strip()
        if process.returncode:
            raise InputError(f"ffmpeg could not write videos to {folder}: {errors.splitlines()[-1] if errors else ''}")
        for number, video in enumerate(videos):
            Path(partial, f"{number:06}.mp4").replace(folder / f"{prefix}{video.video_id}.mp4")
    return len(videos)


# --- annotations; each function returns all texts it has written -----------------------------------------------------


def write_anetqa(folder: Path, videos: Videos, random: np.random.Generator, ask: Callable = questions.ask) -> set[str]:
    texts = set()
    for split, own in videos.items():
        asked, answered = [], []
        for video in own:
            for number, question in enumerate(ask(video, random)):
                qid = f"v_{video.video_id}_{number}"
                asked.append({"video_name": video.video_id, "question": question.text, "question_id": qid})
                answered.append({"answer": question.answer, "type": question.type, "question_id": qid})
                texts |= {question.text, question.answer}
        write_json(folder / f"{split}_q.json", asked, indent=1)
        write_json(folder / f"{split}_a.json", answered, indent=1)
    return texts


def write_agqa(folder: Path, videos: Videos, random: np.random.Generator) -> set[str]:
    texts = set()
    for split, own in videos.items():
        records: dict[str, dict[str, Any]] = {}
        for video in own:
            for number, record in enumerate(composed.ask(video, random)):
                records[f"{video.video_id}-{number}"] = record
                texts |= {record["question"], record["answer"]}
        write_json(folder / f"{split}_balanced.txt", records)
    return texts


def write_nextqa(folder: Path, videos: Videos, random: np.random.Generator) -> set[str]:
    texts = set()
    for split, own in videos.items():
        with atomic_write(folder / f"{split}.csv") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(choices.COLUMNS)
            for video in own:
                for number, question in enumerate(choices.ask(video, random)):
                    place = (video.video_id, video.num_frames, 96, 96)
                    lines.writerow(
                        [*place, question.text, question.right, number, question.type, *question.choices],
                    )
                    texts |= {question.text, *question.choices}
    every = [video.video_id for own in videos.values() for video in own]
    write_json(folder / "map_vid_vidorID.json", {video_id: f"{choices.FOLDER}/{video_id}" for video_id in every})
    return texts


def write_vatex(folder: Path, videos: Videos, random: np.random.Generator) -> set[str]:
    texts = set()
    for split, file in (("train", "vatex_training_v1.0.json"), ("val", "vatex_validation_v1.0.json")):
        records = []
        for video in videos[split]:
            wordings = captions(video.events[0])
            records.append({"videoID": video.video_id, "enCap": wordings * (10 // len(wordings)), "chCap": []})
            texts |= set(wordings)
        write_json(folder / file, records)
    return texts


def write_tgif(folder: Path, videos: Videos, random: np.random.Generator) -> set[str]:
    texts = set()
    lines = []
    for split in ("train", "val"):
        urls = []
        for video in videos[split]:
            wordings = captions(video.events[0])
            urls.append(f"https://toy.invalid/{video.video_id}.gif")
            lines.append(f"{urls[-1]}\t{wordings[random.integers(len(wordings))]}")
            texts |= set(wordings)
        _write_lines(folder / f"{split}.txt", urls)
    _write_lines(folder / "tgif-v1.0.tsv", lines)
    return texts


WRITERS = {
    "stills": partial(write_anetqa, ask=lambda video, random: questions.ask_about_scene(video.scene, random)),
    "anetqa": write_anetqa,
    "agqa": write_agqa,
    "nextqa": write_nextqa,
    "vatex": write_vatex,
    "tgif": write_tgif,
}


def write_vocabulary(path: Path, texts: Iterable[str]) -> None:
    """A WordPiece vocabulary that has each word as one piece, and letters for words that never occurred.

    Listed, not trained: the training of the `tokenizers` library breaks ties differently from run to run.
    """
    words = sorted({word for text in texts for word in text.replace(",", " , ").split()})
    letters = [*string.ascii_lowercase, *string.digits]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    _write_lines(path, [*tokens, *(word for word in words if word not in letters)])


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with atomic_write(path) as file:
        file.writelines(f"{line}\n" for line in lines)


@run_cli
def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output-dir", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (default: %(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the numbers of videos (default: 1)")
    parser.add_argument("--size", type=int, default=96, help="pixels of a side, even (default: %(default)s)")
    parser.add_argument("--jobs", type=int, help="processes (default: the number of processors)")
    options = parser.parse_args(arguments)
    find_ffmpeg()  # one that cannot be used is found before anything is made
    counts = make_toy(options.output_dir, options.seed, options.scale, options.size, options.jobs)
    print(f"{options.output_dir}: " + ", ".join(f"{name} {count:,} videos" for name, count in counts.items()))


if __name__ == "__main__":
    raise SystemExit(main())
