"""``agqa_split=``: training without the questions of a generalisation split, and what then remembers it."""

import csv
import json

from modules.objectives.open_ended_qa import OpenEndedQA
from tests.kit.runs import change_steps, run_folder
from tests.kit.small_world import settings

from .conftest import as_dataset


def test_training_and_validation_leave_them_out(world, monkeypatch, said):
    """Of the four questions about a video the last is a novel composition."""
    data = as_dataset(world, "agqa")
    (data / "vocab.json").symlink_to(world / "data/vocab.json")
    labels = {"global": ["exists"], "semantic": "object", "structural": "query", "ans_type": "open"}
    for split in ("train", "val", "test"):
        with (world / f"data/{split}.csv").open(newline="") as file:
            rows = [row | labels | {"novel_comp": int(row["qid"][-1] == "3")} for row in csv.DictReader(file)]
        (data / f"{split}.json").write_text(json.dumps({row["qid"]: row for row in rows}))
    words = settings(world, f"data_root={data}", "datasets=agqa", "temporal=False", "max_epoch=1")
    seen = {"train": set(), "val": set()}
    for qids, hook in zip(seen.values(), ("training_step", "validation_step"), strict=True):
        note = lambda _, step, batch, qids=qids: (qids.update(batch["qids"]), step())[1]  # noqa: E731
        change_steps(monkeypatch, OpenEndedQA, note, hook)
    said([*words, "exp_name=novel", "agqa_split=novel_comp", "batch_size=4"])
    for split, qids in seen.items():
        assert qids == {f"{split}{video}_{number}" for video in range(6) for number in range(3)}
    test = [*words, "test_only=True", f"load_path={run_folder(world, 'novel') / 'checkpoints/last.ckpt'}"]
    assert "24 questions, accuracy" in said(test)  # of all questions
    assert "* agqa_split = 'novel_comp'" in said(["print_config", *test, "overwrite=True"])
    no_labels = f"the records of {data}/train.json have no 'more_steps'; preprocess AGQA again"
    assert no_labels in said([*words, "agqa_split=more_steps"], 2)
