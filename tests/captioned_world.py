"""Two captioned collections of a few videos, written as annotations and features directly."""

import json
from pathlib import Path

import h5py
import numpy as np

NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "what", "happened", "at", "the", "beginning", "end", "after"]
WORDS += ["before", *NUMBERS]
WIDTH = 8  # of a clip feature


def make_captioned_world(root: Path) -> Path:
    """vatex/ with 11 training videos of two captions, tgif/ with 7 of one; 5 to validate each. Returns `root`.

    The features of a video point in the direction of the number that its captions name.
    """
    random = np.random.default_rng(0)
    directions = random.standard_normal((len(NUMBERS), WIDTH))
    for name, (id_field, caption_field), size in (
        ("vatex", ("videoID", "enCap"), 11),
        ("tgif", ("vid", "cap"), 7),
    ):
        folder = root / name
        folder.mkdir()
        with h5py.File(folder / f"{name}.h5", "w") as features:
            for split, count in (("train", size), ("val", 5)):
                records = []
                for video in range(count):
                    caption = f"the {NUMBERS[video]}"
                    captions = [caption, f"{caption} {NUMBERS[video]}"] if name == "vatex" else caption
                    records.append({id_field: f"{split}{video}", caption_field: captions})
                    noise = 0.1 * random.standard_normal((1 + video % 3, WIDTH))
                    features[f"{split}{video}"] = (directions[video] + noise).astype(np.float32)
                (folder / f"{split}.json").write_text(json.dumps(records))
    return root
