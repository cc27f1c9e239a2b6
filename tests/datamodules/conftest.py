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


def write_split(root: Path, split: str, answers=ANSWERS) -> None:
    """The questions in turns, one of each video, so that those of a video are not adjacent."""
    rows, counts = ["qid,question,answer,video_id,type"], QUESTIONS[split]
    for turn, video in product(range(max(counts)), range(len(counts))):
        if turn < counts[video]:
            question, answer = ("who runs", "what is it")[turn % 2], answers[(video + turn) % len(answers)]
            rows.append(f"{split}{video}_{turn},{question},{answer},{split}{video},{turn % 9}")
    (root / f"{split}.csv").write_text("\n".join(rows))


@pytest.fixture
def qa_root(tmp_path):
    """An ActivityNet-QA folder. Frame f of the n-th video is filled with 10 n + f, its clip c with n + c / 10."""
    (tmp_path / "vocab.json").write_text(json.dumps({answer: index for index, answer in enumerate(ANSWERS)}))
    videos = [f"{split}{video}" for split, counts in QUESTIONS.items() for video in range(len(counts))]
    with h5py.File(tmp_path / "anetqa.h5", "w") as features:
        for number, video in enumerate(videos):
            folder = tmp_path / "frames" / f"v_{video}"
            folder.mkdir(parents=True)
            for frame in range(4):
                Image.new("RGB", (8, 8), (10 * number + frame,) * 3).save(folder / f"{frame + 1:04d}.png")
            clips = number + np.arange(number % 3 + 1, dtype=np.float32) / 10
            features[video] = clips[:, None].repeat(5, 1)
    for split in QUESTIONS:
        write_split(tmp_path, split)
    return tmp_path


@pytest.fixture
def qa_settings(qa_root):
    """Arguments of a QADataModule over `qa_root`."""
    sizes = {"per_gpu_batchsize": 4, "nframe": 2, "image_size": 8, "max_video_len": 2, "input_video_embed_size": 5}
    return {"datasets": ["anetqa"], "data_root": qa_root, "tokenizer": WORDS, **sizes}
