"""``agqa_split=``: training without the questions of a generalisation split, and what then remembers it."""

import csv
import json

import pytest

from config import run_command_line
from modules.objectives.open_ended_qa import OpenEndedQA
from tests.kit.runs import change_steps, load, run_folder
from tests.kit.small_world import make_small_world, settings


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The small world as an AGQA: of the four questions about a video the last is a novel composition."""
    folder = make_small_world(tmp_path_factory.mktemp("world"))
    data = folder / "data"
    for frames in (data / "frames").iterdir():
        frames.rename(data / "frames" / frames.name.removeprefix("v_"))
    (data / "anetqa.h5").rename(data / "agqa.h5")
    for split in ("train", "val", "test"):
        with (data / f"{split}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        labels = {"global": ["exists"], "semantic": "object", "structural": "query", "ans_type": "open"}
        records = {row["qid"]: {**row, **labels, "novel_comp": int(row["qid"][-1] == "3")} for row in rows}
        (data / f"{split}.json").write_text(json.dumps(records))
    return folder


def command(world, *more):
    return settings(world, "datasets=agqa", "temporal=False", "max_epoch=1", *more)


def test_training_and_validation_leave_them_out(world, monkeypatch, capsys):
    seen = {"training_step": set(), "validation_step": set()}
    for hook, qids in seen.items():
        change_steps(
            monkeypatch,
            OpenEndedQA,
            lambda _, step, batch, qids=qids: (qids.update(batch["qids"]), step())[1],
            hook,
        )
    assert run_command_line(command(world, "exp_name=novel", "agqa_split=novel_comp", "batch_size=4")) == 0
    for hook, split in (("training_step", "train"), ("validation_step", "val")):
        assert seen[hook] == {f"{split}{video}_{number}" for video in range(6) for number in range(3)}
    checkpoint = run_folder(world, "novel") / "checkpoints" / "last.ckpt"
    assert load(checkpoint)["dest"]["config"]["agqa_split"] == "novel_comp"

    test = command(world, "test_only=True", f"load_path={checkpoint}")
    assert run_command_line(test) == 0  # of all questions
    assert "24 questions, accuracy" in capsys.readouterr().out
    assert run_command_line(["print_config", *test[:1], *test[1:], "overwrite=True"]) == 0
    assert "* agqa_split = 'novel_comp'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ("agqa_split=more_steps",),
            "the records of {world}/data/train.json have no 'more_steps'; preprocess AGQA again",
        ),
        (("agqa_split=more_steps", "datasets=anetqa"), "agqa_split=more_steps is for datasets=agqa, not ['anetqa']"),
        (("agqa_split=nc_seq",), "agqa_split must be one of novel_comp, more_steps, or None"),
    ],
)
def test_refused(world, more, message, capsys):
    assert run_command_line(command(world, *more)) == 2
    assert message.format(world=world) in capsys.readouterr().err
