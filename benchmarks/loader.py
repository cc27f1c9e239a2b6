"""Loading training batches against the naive way: `python -m benchmarks.loader`.

Videos of random textures, ActivityNet-QA's shape: 10 questions per video, 16 frames. The naive way opens a question's
full-size png frames with Pillow, resizes and normalises them there, one question at a time. Both ways use the same
number of worker processes. Times include tokenization, collating and the way from a worker.
"""

import argparse
import csv
import json
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import cv2
import h5py
import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader, Dataset

from datamodules.qa import QADataModule
from datasets.errors import run_cli
from datasets.sampling import sample_frames

from .measure import machine

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "what", "is", "the", "person", "doing"]
NUM_FRAMES, NUM_CLIPS, WIDTH, SIZE = 16, 100, 1024, 384
NUM_REAL_VIDEOS = 4


def write_videos(root: Path, num_videos: int, questions_per_video: int, height: int, width: int) -> None:
    """The dataset twice: `png`, with full-size frames, and `jpg`, with frames whose short side is 384 pixels.

    All videos show one of a few that are really there: links, so that the disk need not hold more.
    """
    random = np.random.default_rng(0)
    small = [side * SIZE // min(height, width) for side in (width, height)]
    for kind in ("png", "jpg"):
        folder = root / kind
        (folder / "frames").mkdir(parents=True)
        (folder / "vocab.json").write_text(json.dumps({"yes": 0}))
        for split in ("train.csv", "val.csv"):
            with (folder / split).open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["qid", "question", "answer", "video_id", "type"])
                for video, question in product(range(num_videos), range(questions_per_video)):
                    writer.writerow([f"{video}_{question}", "what is the person doing", "yes", f"x{video}", 0])
        with h5py.File(folder / "anetqa.h5", "w") as file:
            for video in range(num_videos):
                file[f"x{video}"] = random.standard_normal((NUM_CLIPS, WIDTH)).astype(np.float32)
        for video in range(num_videos):
            directory = folder / "frames" / f"v_x{video}"
            if video < NUM_REAL_VIDEOS:
                directory.mkdir()
            else:
                directory.symlink_to(f"v_x{video % NUM_REAL_VIDEOS}")
    for video in range(min(num_videos, NUM_REAL_VIDEOS)):
        for frame in range(NUM_FRAMES):
            texture = sum(
                cv2.resize(random.standard_normal((height // cell, width // cell, 3)), (width, height)) * cell
                for cell in (2, 8, 40)
            )
            picture = (texture / np.abs(texture).max() * 127 + 128).astype(np.uint8)
            path = Path("frames", f"v_x{video}", f"{frame + 1:04d}")
            cv2.imwrite(str(root / "png" / path.with_suffix(".png")), picture)
            reduced = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(root / "jpg" / path.with_suffix(".jpg")), reduced, [cv2.IMWRITE_JPEG_QUALITY, 95])


class NaiveDataset(Dataset):
    """A question at a time, and all of its video for it."""

    def __init__(self, root: Path):
        self.root = root
        with (root / "train.csv").open(newline="") as file:
            self.rows = list(csv.DictReader(file))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict:
        row = self.rows[index]
        paths = sorted((self.root / "frames" / f"v_{row['video_id']}").iterdir())
        chosen = sample_frames(len(paths), NUM_FRAMES, random=np.random.default_rng(index))
        with h5py.File(self.root / "anetqa.h5") as file:
            clips = torch.from_numpy(file[row["video_id"]][()])
        frames = torch.stack([self._frame(paths[frame]) for frame in chosen])
        return {"frames": frames, "clips": clips, "question": row["question"]}

    @staticmethod
    def _frame(path: Path) -> torch.Tensor:
        image = Image.open(path).convert("RGB")
        scale = SIZE / min(image.size)
        image = image.resize([int(side * scale) for side in image.size], Image.Resampling.BICUBIC)
        left, top = (image.width - SIZE) // 2, (image.height - SIZE) // 2
        image = image.crop((left, top, left + SIZE, top + SIZE))
        return (torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255 - MEAN) / STD


def naive_batches(root: Path, batch_size: int, workers: int) -> Iterator[int]:
    loader = DataLoader(NaiveDataset(root), batch_size, shuffle=True, num_workers=workers)
    for batch in loader:
        yield len(batch["question"])


def our_batches(root: Path, batch_size: int, workers: int, questions_per_video: int) -> Iterator[int]:
    data = QADataModule(
        ["anetqa"],
        root,
        batch_size,
        num_workers=workers,
        nframe=NUM_FRAMES,
        image_size=SIZE,
        tokenizer=WORDS,
        questions_per_video=questions_per_video,
    )
    data.setup("fit")
    for batch in data.train_dataloader():
        yield len(batch["qids"])


def questions_per_second(batches: Iterator[int], limit: float = float("inf")) -> float:
    """Over whole batches, until there are no more or `limit` questions are loaded."""
    start, count = time.perf_counter(), 0
    for size in batches:
        count += size
        if count >= limit:
            break
    return count / (time.perf_counter() - start)


@run_cli
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--videos", type=int, default=64)
    parser.add_argument("--questions-per-video", type=int, default=10, help="of the dataset")
    parser.add_argument("--batch-size", type=int, default=16, help="questions per batch")
    parser.add_argument("--workers", type=int, default=0, help="loader processes; 0: the process itself")
    parser.add_argument("--height", type=int, default=720, help="of the videos, in pixels")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--limit", type=int, default=320, help="questions to load each way")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    size, workers = arguments.batch_size, arguments.workers
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_videos(root, arguments.videos, arguments.questions_per_video, arguments.height, arguments.width)
        # The naive way's cost of a question is constant: one batch per process suffices.
        naive = questions_per_second(naive_batches(root / "png", size, workers), size * max(workers, 1))
        rows = [("naive: Pillow, full-size png, one question at a time", naive)]
        for kind, name in (("png", "full-size png"), ("jpg", f"{SIZE}-pixel jpg")):
            for k in (1, 8):
                rate = questions_per_second(our_batches(root / kind, size, workers, k), arguments.limit)
                rows.append((f"ours: {name}, questions_per_video={k}", rate))
    title = f"Loading questions about {arguments.width} x {arguments.height} videos, {workers} workers"
    table = Table("way", title=title, caption=machine())
    for name in ("questions per second", "ratio"):
        table.add_column(name, justify="right")
    for name, rate in rows:
        table.add_row(name, f"{rate:.3g}", f"{rate / naive:.1f}×")
    Console(width=None if Console().is_terminal else 120).print(table)


if __name__ == "__main__":
    raise SystemExit(main())
