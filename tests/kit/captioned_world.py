"""Two captioned collections of a few videos, written as annotations and features directly."""

import json
from pathlib import Path

import h5py
import numpy as np

from .small_world import PLAIN, SIZES

NUMBERS = "zero one two three four five six seven eight nine ten eleven".split()
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] what happened at the beginning end after before".split() + NUMBERS
WIDTH = 8  # of a clip feature


def make_captioned_world(root: Path) -> Path:
    """Writes vatex/ (11 training videos of two captions), tgif/ (7 of one; 5 to validate each) and tokenizer/.

    The features of a video point in the direction of the number that its captions name.
    """
    random = np.random.default_rng(0)
    directions = random.standard_normal((len(NUMBERS), WIDTH))
    for name, id_field, caption_field, size in (("vatex", "videoID", "enCap", 11), ("tgif", "vid", "cap", 7)):
        (root / name).mkdir()
        for split, count in (("train", size), ("val", 5)):
            records = []
            for video, number in enumerate(NUMBERS[:count]):
                captions = [f"the {number}", f"the {number} {number}"] if name == "vatex" else f"the {number}"
                records.append({id_field: f"{split}{video}", caption_field: captions})
                noise = 0.1 * random.standard_normal((1 + video % 3, WIDTH))
                with h5py.File(root / name / f"{name}.h5", "a") as features:
                    features[f"{split}{video}"] = (directions[video] + noise).astype(np.float32)
            (root / name / f"{split}.json").write_text(json.dumps(records))
    (root / "tokenizer").mkdir()
    (root / "tokenizer" / "vocab.txt").write_text("\n".join(WORDS))
    return root


def settings(world: Path, *more: str) -> list[str]:
    """The words of a command line that pre-trains the smallest network on that data on the CPU."""
    folders = [f"data_root={world}", f"tokenizer={world / 'tokenizer'}", f"log_dir={world / 'result'}"]
    steps = "num_clips=3 val_questions=20 max_text_len=8 max_steps=12 warmup_steps=2 val_check_interval=5".split()
    return ["with", "task_pretrain_trm", *folders, *PLAIN, *steps, *SIZES, "head_width=8", *more]
