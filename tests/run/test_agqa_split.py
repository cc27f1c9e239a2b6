"""``agqa_split=``: training without the questions of a generalisation split, and what then remembers it."""

import csv
import json

import pytest

from modules.objectives.open_ended_qa import OpenEndedQA
from tests.kit.runs import change_steps, load, run_folder
from tests.kit.small_world import settings


@pytest.fixture
def words(world):
    """Of a run on the small world as an AGQA: of the four questions about a video the last is a novel composition."""
    data = world / "agqa"
    (data / "frames").mkdir(parents=True, exist_ok=True)
    for frames in (world / "data/frames").iterdir():
        (data / "frames" / frames.name.removeprefix("v_")).symlink_to(frames)
    (data / "agqa.h5").symlink_to(world / "data/anetqa.h5")
    (data / "vocab.json").symlink_to(world / "data/vocab.json")
    labels = {"global": ["exists"], "semantic": "object", "structural": "query", "ans_type": "open"}
    for split in ("train", "val", "test"):
        with (world / f"data/{split}.csv").open(newline="") as file:
            rows = {
                row["qid"]: row | labels | {"novel_comp": int(row["qid"][-1] == "3")} for row in csv.DictReader(file)
            }
        (data / f"{split}.json").write_text(json.dumps(rows))
    return settings(world, f"data_root={data}", "datasets=agqa", "temporal=False", "max_epoch=1")


def test_training_and_validation_leave_them_out(world, words, monkeypatch, said):
    seen = {"training_step": set(), "validation_step": set()}
    for hook, qids in seen.items():

        def step(_, step, batch, qids=qids):
            qids.update(batch["qids"])
            return step()

        change_steps(monkeypatch, OpenEndedQA, step, hook)
    said([*words, "exp_name=novel", "agqa_split=novel_comp", "batch_size=4"])
    for hook, split in (("training_step", "train"), ("validation_step", "val")):
        assert seen[hook] == {f"{split}{video}_{number}" for video in range(6) for number in range(3)}
    checkpoint = run_folder(world, "novel") / "checkpoints" / "last.ckpt"
    assert load(checkpoint)["dest"]["config"]["agqa_split"] == "novel_comp"
    test = [*words, "test_only=True", f"load_path={checkpoint}"]
    assert "24 questions, accuracy" in said(test)  # of all questions
    assert "* agqa_split = 'novel_comp'" in said(["print_config", *test, "overwrite=True"])
    more_steps = said([*words, "agqa_split=more_steps"], 2)
    assert f"the records of {world}/agqa/train.json have no 'more_steps'; preprocess AGQA again" in more_steps
    not_agqa = said([*words, "agqa_split=more_steps", "datasets=anetqa"], 2)
    assert "agqa_split=more_steps is for datasets=agqa, not ['anetqa']" in not_agqa
    assert "agqa_split must be one of novel_comp, more_steps, or None" in said([*words, "agqa_split=nc_seq"], 2)
