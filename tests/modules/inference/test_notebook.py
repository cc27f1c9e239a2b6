"""The notebook page of docs/inference.md, run block after block on the toy world."""

import csv
import json
import re

import pytest
import torch
from matplotlib.figure import Figure

from tests.kit.paths import ROOT

QUESTION_TOKENS, ANSWERS = 6, 7


def blocks() -> list[str]:
    page = (ROOT / "docs/inference.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", page[page.index("## In a notebook") :], re.M | re.S)


@pytest.fixture
def folder(tmp_path, monkeypatch, toy_world, toy_checkpoint):
    """A folder as the demo leaves it, in which the page's paths are right."""
    for path in ("toy/checkpoints/anetqa_with_trm.ckpt", "ckpt/anetqa.ckpt"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).symlink_to(toy_checkpoint)
    for name in ("raw", "data"):
        (tmp_path / "toy" / name).symlink_to(toy_world / name)
    with (toy_world / "data/anetqa/test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    right = [{"qid": row["qid"], "answer": row["answer"]} for row in rows]
    (tmp_path / "toy/result").mkdir()
    (tmp_path / "toy/result/anetqa_by_anetqa_with_trm.json").write_text(json.dumps(right))
    monkeypatch.chdir(tmp_path)
    return rows


def test_the_page_runs(folder, capsys):
    ask, scores, network = blocks()
    names: dict = {}
    exec(ask, names)
    assert isinstance(names["figure"], Figure)
    assert names["answer"].maps.clips is not None and str(names["answer"].best[0]) in capsys.readouterr().out
    exec(scores, names)
    overall = names["table"].loc[("overall", "all")].droplevel(0)
    assert (overall["questions"], overall["accuracy"]) == (len(folder), 100)
    sizes = names["predictor"].network.sizes
    given = {
        "frames": torch.zeros(1, 2, 3, sizes.image_size, sizes.image_size, dtype=torch.uint8),
        "clips": torch.zeros(1, 3, sizes.input_video_embed_size),
        "clip_mask": torch.ones(1, 3, dtype=torch.bool),
        "question_ids": torch.ones(2, QUESTION_TOKENS, dtype=torch.long),
        "question_mask": torch.ones(2, QUESTION_TOKENS, dtype=torch.long),
        "video_index": torch.zeros(2, dtype=torch.long),
        "answer_ids": torch.ones(ANSWERS, 4, dtype=torch.long),
        "answer_mask": torch.ones(ANSWERS, 4, dtype=torch.long),
    }
    exec(network, given)
    assert given["logits"].shape == (2, ANSWERS)
