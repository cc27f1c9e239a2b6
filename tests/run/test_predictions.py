"""``test_only=True``: the file of predictions, and what it needs."""

import hashlib
import json
import re
import shutil

from config import run_command_line
from tests.kit.processes import start
from tests.kit.small_world import settings

MACHINE = ["accelerator=cpu", "precision=32", "num_workers=0"]


def test_each_question_once_in_order_and_never_overwritten_unasked(world, trained, capsys):
    arguments = settings(world, "test_only=True", f"load_path={trained / 'best.ckpt'}")
    capsys.readouterr()
    assert run_command_line(arguments) == 0
    path = world / "result/anetqa_by_whole_seed0_version_0_best.json"
    output = capsys.readouterr().out
    assert str(path) in output
    records = json.loads(path.read_text())
    assert [record["qid"] for record in records] == [f"test{v}_{q}" for v in range(6) for q in range(4)]
    assert all(len(record["answer10"]) == 5 and record["answer10"][0] == record["answer"] for record in records)
    assert re.search(r"24 questions, accuracy \d+\.\d\d %", output)
    record = json.loads(path.with_suffix(".meta.json").read_text())
    for key, file in (
        ("checkpoint", trained / "best.ckpt"),
        ("annotations", world / "data/test.csv"),
        ("predictions", path),
    ):
        assert record[f"{key}_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    told = {"nframe": 2, "test_split": "test", "precision": 32, "answers": 5, "questions": 24, "dataset": "anetqa"}
    assert told.items() <= record.items()
    assert record["trained_on"] == "anetqa (5 answers, 2 frames per video, task_finetune_anetqa)"
    assert {type(value) for value in record.values()} <= {str, int, float, bool, type(None)}
    before = path.read_bytes()
    assert run_command_line(arguments) == 2
    assert "overwrite=True" in capsys.readouterr().err
    assert run_command_line([*arguments, "overwrite=True"]) == 0
    assert path.read_bytes() == before


def test_checkpoint_needs_no_settings_but_the_data(world, trained, tmp_path):
    data, log = f"data_root={world / 'data'}", f"log_dir={tmp_path}"
    assert run_command_line(["with", "test_only=True", f"load_path={trained / 'last.ckpt'}", data, log, *MACHINE]) == 0
    assert (tmp_path / "anetqa_by_whole_seed0_version_0_last.json").exists()


def test_files_of_training_are_not_needed(world, trained, tmp_path):
    """Nor the tokenizer's: the checkpoint brings all that the test split and its videos do not."""
    data = tmp_path / "elsewhere/data"
    for frames in (world / "data/frames").glob("v_test*"):
        shutil.copytree(frames, data / "frames" / frames.name)
    for name in ("test.csv", "anetqa.h5"):
        shutil.copy(world / "data" / name, data)
    checkpoint = shutil.copy(trained / "best.ckpt", tmp_path / "mine.ckpt")
    for root in (data, world / "data"):
        more = (f"data_root={root}", f"log_dir={tmp_path / root.parent.name}", f"load_path={checkpoint}")
        assert run_command_line(["with", "test_only=True", *MACHINE, *more]) == 0
    there, here = (tmp_path / name / "anetqa_by_mine.json" for name in ("elsewhere", world.name))
    assert there.read_bytes() == here.read_bytes()


def test_answers_that_training_lacks(world, trained, tmp_path, capsys):
    """They are chosen, and eval.py tells how many of the questions that need them are answered right."""
    words = settings(world, "test_only=True", f"load_path={trained / 'best.ckpt'}", f"log_dir={tmp_path}")
    assert run_command_line([*words, "answers=['purple','mauve']"]) == 0
    note = "scored are 2 answers of your own; 2 of them are not among the 5 that the network was trained on"
    assert note in capsys.readouterr().out
    (path,) = tmp_path.glob("*_best.json")
    records = json.loads(path.read_text())
    assert {record["answer"] for record in records} <= {"purple", "mauve"}
    assert run_command_line([word for word in words if "test_only" not in word] + ["answers=['purple']"]) == 2
    assert "answers and answer_file are for a test of open-ended questions" in capsys.readouterr().err


def test_two_processes_write_the_same_file(world, trained, tmp_path):
    words = settings(world, "test_only=True", f"load_path={trained / 'best.ckpt'}")
    both = start("run.py", *words, "num_gpus=2", f"log_dir={tmp_path / '2'}")
    assert run_command_line([*words, f"log_dir={tmp_path / '1'}"]) == 0
    said = both.communicate()[0]
    assert both.returncode == 0, said
    one, two = (sorted((tmp_path / number).glob("*.json")) for number in "12")
    assert [path.name for path in one] == [
        f"anetqa_by_whole_seed0_version_0_best{end}" for end in (".json", ".meta.json")
    ]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_the_validation_split(world, trained, tmp_path):
    """Under a name of its own; its records are those of its questions."""
    words = settings(world, "test_only=True", f"load_path={trained / 'best.ckpt'}", f"log_dir={tmp_path}")
    assert run_command_line([*words, "test_split=val"]) == 0
    path = tmp_path / "anetqa_by_whole_seed0_version_0_best_val.json"
    assert {record["qid"] for record in json.loads(path.read_text())} == {
        f"val{v}_{q}" for v in range(6) for q in range(4)
    }
    assert json.loads(path.with_suffix(".meta.json").read_text())["annotations"].endswith("val.csv")


def test_another_tokenizer_than_the_checkpoints_is_refused(world, trained, tmp_path, capsys):
    """Its answers would be at chance level, and nothing would say so."""
    words = (world / "tokenizer" / "vocab.txt").read_text().splitlines()
    (tmp_path / "vocab.txt").write_text("\n".join([*words[:-2], words[-1], words[-2]]))
    more = ["test_only=True", f"load_path={trained / 'best.ckpt'}", f"log_dir={tmp_path}", f"tokenizer={tmp_path}"]
    assert run_command_line(settings(world, *more)) == 2
    assert f"tokenizer={tmp_path} has other tokens than" in capsys.readouterr().err
