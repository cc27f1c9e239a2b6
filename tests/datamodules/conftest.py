"""A dataset of a few small files."""

import csv
import json
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "what", "who", "is", "it", "red", "dog", "cat", "runs"]
ANSWERS = ["yes", "no", "dog", "cat"]
QUESTIONS = {"train": (3, 1, 5, 2), "val": (2, 4), "test": (1, 6, 2)}  # questions of each video


def write_split(root: Path, split: str, counts, answers=ANSWERS) -> None:
    """The questions in turns, one of each video, so that those of a video are not adjacent."""
    with (root / f"{split}.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["qid", "question", "answer", "video_id", "type"])
        for turn, video in product(range(max(counts)), range(len(counts))):
            if turn < counts[video]:
                question = "what is it" if turn % 2 else "who runs"
                answer = answers[(video + turn) % len(answers)]
                writer.writerow([f"{split}{video}_{turn}", question, answer, f"{split}{video}", turn % 9])


@pytest.fixture
def qa_root(tmp_path):
    """An ActivityNet-QA folder. Frame f of the n-th video is filled with 10 n + f, its clip c with n + c / 10."""
    (tmp_path / "vocab.json").write_text(json.dumps({answer: index for index, answer in enumerate(ANSWERS)}))
    with h5py.File(tmp_path / "anetqa.h5", "w") as features:
        number = 0
        for split, counts in QUESTIONS.items():
            write_split(tmp_path, split, counts)
            for video in range(len(counts)):
                folder = tmp_path / "frames" / f"v_{split}{video}"
                folder.mkdir(parents=True)
                for frame in range(4):
                    Image.new("RGB", (8, 8), (10 * number + frame,) * 3).save(folder / f"{frame + 1:04d}.png")
                clips = number + np.arange(number % 3 + 1, dtype=np.float32) / 10
                features[f"{split}{video}"] = clips[:, None].repeat(5, 1)
                number += 1
    return tmp_path


@pytest.fixture
def qa_settings(qa_root):
    """Arguments of a QADataModule over `qa_root`."""
    return {
        "datasets": ["anetqa"],
        "data_root": qa_root,
        "per_gpu_batchsize": 4,
        "nframe": 2,
        "image_size": 8,
        "max_video_len": 2,
        "input_video_embed_size": 5,
        "tokenizer": WORDS,
    }
