"""Multiple choice as a run: trained, tested, and with a network of the other kind of questions."""

import csv
import json

import pytest

import eval as evaluation
from datasets.sources import nextqa
from tests.kit.processes import ended_well, start
from tests.kit.runs import rows, train
from tests.kit.small_world import ANSWERS, settings

from .conftest import as_dataset


@pytest.fixture(scope="module")
def choices(world):
    """The world's videos with questions in NExT-QA's form beside those of ActivityNet-QA's."""
    data = as_dataset(world, "nextqa")
    names = [path.name for path in (data / "frames").iterdir()]
    (data / nextqa.MAP).write_text(json.dumps({name: f"00/{name}" for name in names}))
    for split in ("train", "val", "test"):
        with (data / f"{split}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(nextqa.COLUMNS)
            for video in range(6):
                for question, kind in zip(range(4), nextqa.QUESTION_TYPES, strict=False):
                    place = (video + question) % 5
                    offered = [*ANSWERS[place:], *ANSWERS[:place]]
                    writer.writerow([f"{split}{video}", "what is the shape", place, question, kind, *offered])
    return data


def choice_settings(world, *more):
    """As `small_world.settings`, for multiple choice."""
    command, _, _, *words = settings(world)
    return [command, "task_finetune_nextqa", f"data_root={world / 'nextqa'}", *words, *more]


@pytest.fixture(scope="module")
def chosen(choices, world):
    """The checkpoints of a run of multiple choice."""
    return train(world, "choices", settings=choice_settings) / "checkpoints"


def test_a_run_and_its_test(world, choices, chosen, said, capsys, tmp_path):
    assert [row for row in rows(chosen.parent) if row["val/accuracy"]]
    words = choice_settings(world, "test_only=True", f"load_path={chosen / 'best.ckpt'}")
    both = start("run.py", *words, "num_gpus=2", f"log_dir={tmp_path / '2'}")
    output = said([*words, f"log_dir={tmp_path / '1'}", 'probe=["none","question_only"]'])
    ended_well(both)
    (path,), (other,) = ((tmp_path / number).glob("nextqa_by_*_best.json") for number in "12")
    assert path.read_bytes() == other.read_bytes()
    records = json.loads(path.read_text())
    with (choices / "test.csv").open(newline="") as file:
        truth = {f"{row['video']}_{row['qid']}": int(row["answer"]) for row in csv.DictReader(file)}
    assert {qid: record["answer"] for qid, record in records.items()} == truth
    accuracy = sum(record["prediction"] == record["answer"] for record in records.values()) / len(records)
    assert f"24 questions, accuracy {100 * accuracy:.2f} %" in output
    assert evaluation.main(["next", str(path), str(choices / "test.csv"), "--probes"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert any(line[:1] == ["question_only"] for line in lines)
    assert ["all", "24", f"{100 * accuracy:.2f}"] in lines


def test_a_network_for_the_other_kind_of_questions(world, trained, chosen, tmp_path, said):
    """Both ways, without training; a checkpoint of multiple choice has no answers of its own, and takes none."""
    common = ["test_only=True", f"log_dir={tmp_path}"]
    said(choice_settings(world, *common, f"load_path={trained / 'best.ckpt'}"))
    assert json.loads((tmp_path / "nextqa_by_whole_seed0_version_0_best.json").read_text())["test0_0"]["answer"] == 0
    common.append(f"load_path={chosen / 'best.ckpt'}")
    said(settings(world, *common))
    records = json.loads((tmp_path / "anetqa_by_choices_seed0_version_0_best.json").read_text())
    assert {record["answer"] for record in records} <= set(ANSWERS)
    assert "multiple choice those of each question" in said(choice_settings(world, *common, "answers=['mauve']"), 2)
