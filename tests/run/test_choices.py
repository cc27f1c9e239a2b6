"""Multiple choice as a run: trained, resumed, tested, and with a network of the other kind of questions."""

import csv
import json

import pytest

import eval as evaluation
from config import run_command_line
from datasets.sources import nextqa
from modules.objectives.multiple_choice import MultipleChoice
from tests.kit.processes import start
from tests.kit.runs import killed_run, rows, run_folder, train, weights
from tests.kit.small_world import ANSWERS, settings


@pytest.fixture(scope="module")
def choices(world):
    """The world's videos with questions in NExT-QA's form beside those of ActivityNet-QA's."""
    data = world / "next"
    data.mkdir()
    (data / "frames").mkdir()
    (data / "nextqa.h5").symlink_to(world / "data" / "anetqa.h5")
    names = {}
    for split in ("train", "val", "test"):
        with (data / f"{split}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(nextqa.COLUMNS)
            for video in range(6):
                name = f"{split}{video}"
                names[name] = f"00/{name}"
                (data / "frames" / name).symlink_to(world / "data" / "frames" / f"v_{name}")
                for question in range(4):
                    place = (video + question) % 5
                    kind = list(nextqa.QUESTION_TYPES)[question]
                    offered = [*ANSWERS[place:], *ANSWERS[:place]]
                    writer.writerow([name, "what is the shape", place, question, kind, *offered])
    (data / nextqa.MAP).write_text(json.dumps(names))
    return data


def choice_settings(world, *more):
    """As `small_world.settings`, for multiple choice."""
    words = settings(world, "task_finetune_nextqa", f"data_root={world / 'next'}", "max_epoch=2")
    return [
        *(word for word in words if word != "task_finetune_anetqa" and word != f"data_root={world / 'data'}"),
        *more,
    ]


@pytest.fixture(scope="module")
def chosen(choices, world):
    """The checkpoints of a run of multiple choice."""
    return train(world, "choices", settings=choice_settings) / "checkpoints"


def test_a_run_and_its_test(world, choices, chosen, capsys, tmp_path):
    assert [row for row in rows(chosen.parent) if row["val/accuracy"]]
    words = choice_settings(world, "test_only=True", f"load_path={chosen / 'best.ckpt'}")
    both = start("run.py", *words, "num_gpus=2", f"log_dir={tmp_path / '2'}")
    assert run_command_line([*words, f"log_dir={tmp_path / '1'}", 'probe=["none","question_only"]']) == 0
    assert both.communicate() and both.returncode == 0
    (path,), (other,) = ((tmp_path / number).glob("nextqa_by_*_best.json") for number in "12")
    assert path.read_bytes() == other.read_bytes()
    records = json.loads(path.read_text())
    with (choices / "test.csv").open(newline="") as file:
        assert {f"{row['video']}_{row['qid']}": int(row["answer"]) for row in csv.DictReader(file)} == {
            qid: record["answer"] for qid, record in records.items()
        }
    accuracy = sum(record["prediction"] == record["answer"] for record in records.values()) / len(records)
    assert f"24 questions, accuracy {100 * accuracy:.2f} %" in capsys.readouterr().out
    assert evaluation.main(["next", str(path), str(choices / "test.csv"), "--probes"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert any(line[:1] == ["question_only"] for line in lines)
    (line,) = [line for line in lines if line[:1] == ["all"] and line[1] != "questions"]
    assert line == ["all", "24", f"{100 * accuracy:.2f}"]


def test_a_run_that_was_cut_short_goes_on_to_the_same_weights(world, choices, chosen, monkeypatch):
    words = choice_settings(world, "exp_name=cut", "checkpoint_steps=1")
    killed_run(words, monkeypatch, MultipleChoice, 5, "training_step")
    assert run_command_line([*words, "resume_from=last"]) == 0
    resumed, whole = (weights(folder / "last.ckpt") for folder in (run_folder(world, "cut") / "checkpoints", chosen))
    assert all(resumed[name].equal(whole[name]) for name in whole)


def test_a_network_for_the_other_kind_of_questions(world, trained, choices, chosen, tmp_path, capsys):
    """Both ways, without training; a checkpoint of multiple choice has no answers of its own."""
    common = ["test_only=True", f"log_dir={tmp_path}"]
    assert run_command_line(choice_settings(world, *common, f"load_path={trained / 'best.ckpt'}")) == 0
    assert json.loads((tmp_path / "nextqa_by_whole_seed0_version_0_best.json").read_text())["test0_0"]["answer"] == 0
    words = settings(world, *common, f"load_path={chosen / 'best.ckpt'}")
    assert run_command_line(words) == 0
    path = tmp_path / "anetqa_by_choices_seed0_version_0_best.json"
    assert {record["answer"] for record in json.loads(path.read_text())} <= set(ANSWERS)
    assert run_command_line([*words, "answers=['mauve']", "overwrite=True"]) == 0
    assert "1 answers of your own; the network was trained on others, or on choices" in capsys.readouterr().out


def test_choices_take_no_answers_of_ones_own(world, chosen, capsys):
    words = choice_settings(world, "test_only=True", f"load_path={chosen / 'best.ckpt'}", "answers=['mauve']")
    assert run_command_line(words) == 2
    assert "multiple choice those of each question" in capsys.readouterr().err
