"""A dataset of a few tiny videos, written as frames and features directly; for tests of the training run."""

import csv
import json
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] what which colour is the shape red green blue yes no before after".split()
ANSWERS = ["red", "green", "blue", "yes", "no"]
# The smallest network that has every part, and the plainest machine.
SIZES = [
    *"nframe=2 image_size=16 patch_size=8 hidden_size=16 head_width=16 max_pos_len=6 max_video_len=6".split(),
    "input_video_embed_size=8",
    "vit_config={'vit_depth':1,'vit_heads':2}",
    "bert_config={'num_layers':2,'num_text_layers':1,'num_heads':2,'intermediate_size':16,'vocab_size':32,"
    "'max_text_positions':16,'num_token_types':2}",
    "answer_config={'answer_layers':1,'answer_heads':2,'answer_intermediate_size':16}",
]
PLAIN = "answer_encoder= accelerator=cpu precision=32 num_workers=0 batch_size=8 per_gpu_batchsize=4".split()


def make_small_world(folder: Path, num_videos: int = 6, questions_each: int = 4) -> Path:
    """Writes ``data/`` (an ActivityNet-QA of `num_videos` videos per split) and ``tokenizer/``; returns the folder."""
    random, data = np.random.default_rng(0), folder / "data"
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "tokenizer" / "vocab.txt").write_text("\n".join(WORDS))
    data.mkdir()
    (data / "vocab.json").write_text(json.dumps({answer: index for index, answer in enumerate(ANSWERS)}))
    with h5py.File(data / "anetqa.h5", "w") as features:
        for split in ("train", "val", "test"):
            rows = [["qid", "question", "answer", "video_id", "type"]]
            for video in range(num_videos):
                name = f"{split}{video}"
                frames = data / "frames" / f"v_{name}"
                frames.mkdir(parents=True)
                for frame in range(4):
                    pixels = random.integers(0, 256, (16, 20, 3), np.uint8)
                    Image.fromarray(pixels).save(frames / f"{frame + 1:04}.png")
                features[name] = random.standard_normal((3 + video % 3, 8)).astype(np.float32)
                for question in range(questions_each):
                    text = "what colour is the shape" if question % 2 else "is the shape red"
                    answer = ANSWERS[(video + question) % len(ANSWERS)]
                    rows.append([f"{name}_{question}", text, answer, name, question % 9])
            with (data / f"{split}.csv").open("w", newline="") as file:
                csv.writer(file).writerows(rows)
    return folder


def settings(folder: Path, *more: str) -> list[str]:
    """The words of a command line that trains the smallest network on that data on the CPU."""
    folders = [f"data_root={folder / 'data'}", f"tokenizer={folder / 'tokenizer'}", f"log_dir={folder / 'result'}"]
    return ["with", "task_finetune_anetqa", *folders, *PLAIN, "max_epoch=2", *SIZES, *more]
