"""``test_only=True``: the file of predictions, and what it needs."""

import hashlib
import json
import re
import shutil

import pytest

from tests.kit.runs import train
from tests.kit.small_world import make_small_world, settings


@pytest.fixture
def words(world, trained, tmp_path):
    return settings(world, "test_only=True", f"load_path={trained / 'best.ckpt'}", f"log_dir={tmp_path}")


def test_each_question_once_in_order_and_never_overwritten_unasked(world, trained, words, tmp_path, said):
    output, path = said(words), tmp_path / "anetqa_by_whole_seed0_version_0_best.json"
    assert str(path) in output and re.search(r"24 questions, accuracy \d+\.\d\d %", output)
    records = json.loads(path.read_text())
    assert [record["qid"] for record in records] == [f"test{v}_{q}" for v in range(6) for q in range(4)]
    assert all(len(record["answer10"]) == 5 and record["answer10"][0] == record["answer"] for record in records)
    record = json.loads(path.with_suffix(".meta.json").read_text())
    files = {"checkpoint": trained / "best.ckpt", "annotations": world / "data/test.csv", "predictions": path}
    for key, file in files.items():
        assert record[f"{key}_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    told = {"nframe": 2, "test_split": "test", "precision": 32, "answers": 5, "questions": 24, "dataset": "anetqa"}
    told["trained_on"] = "anetqa (5 answers, 2 frames per video, task_finetune_anetqa)"
    assert told.items() <= record.items()
    assert {type(value) for value in record.values()} <= {str, int, float, bool, type(None)}
    before = path.read_bytes()
    assert "overwrite=True" in said(words, 2)
    said([*words, "overwrite=True"])
    assert path.read_bytes() == before


def test_nothing_else_is_needed_but_the_test_split_and_its_videos(world, trained, tmp_path, said):
    """No settings, no files of training, no tokenizer: the checkpoint brings them."""
    data = tmp_path / "elsewhere/data"
    for frames in (world / "data/frames").glob("v_test*"):
        shutil.copytree(frames, data / "frames" / frames.name)
    for name in ("test.csv", "anetqa.h5"):
        shutil.copy(world / "data" / name, data)
    words = ["with", "test_only=True", f"load_path={shutil.copy(trained / 'best.ckpt', tmp_path / 'mine.ckpt')}"]
    words += ["accelerator=cpu", "precision=32", "num_workers=0"]
    for root in (data, world / "data"):
        said([*words, f"data_root={root}", f"log_dir={tmp_path / root.parent.name}"])
    there, here = (tmp_path / name / "anetqa_by_mine.json" for name in ("elsewhere", world.name))
    assert there.read_bytes() == here.read_bytes()


def test_answers_that_training_lacks(words, tmp_path, said):
    note = "scored are 2 answers of your own; 2 of them are not among the 5 that the network was trained on"
    assert note in said([*words, "answers=['purple','mauve']"])
    (path,) = tmp_path.glob("*_best.json")
    assert {record["answer"] for record in json.loads(path.read_text())} <= {"purple", "mauve"}
    training = [word for word in words if "test_only" not in word]
    assert "answers and answer_file are for a test of open-ended questions" in said([*training, "answers=['mauve']"], 2)


def test_the_validation_split(words, tmp_path, said):
    said([*words, "test_split=val"])
    records = json.loads((tmp_path / "anetqa_by_whole_seed0_version_0_best_val.json").read_text())
    assert {record["qid"] for record in records} == {f"val{v}_{q}" for v in range(6) for q in range(4)}


def test_another_tokenizer_than_the_checkpoints_is_refused(world, words, tmp_path, said):
    """Its answers would be at chance level, and nothing would say so."""
    lines = (world / "tokenizer" / "vocab.txt").read_text().splitlines()
    (tmp_path / "vocab.txt").write_text("\n".join([*lines[:-2], lines[-1], lines[-2]]))
    error = said([*words, f"tokenizer={tmp_path}"], 2)
    assert f"tokenizer={tmp_path} has other tokens than" in error


def test_long_texts_are_cut_to_the_positions_there_are(tmp_path, said):
    world, long = make_small_world(tmp_path), "red " * 40  # the network has 16 positions
    for path in (world / "data").glob("*.csv"):
        path.write_text(path.read_text().replace("is the shape red", long))
    vocabulary = json.loads((world / "data/vocab.json").read_text())
    (world / "data/vocab.json").write_text(json.dumps(vocabulary | {long: len(vocabulary)}))
    checkpoint = train(world, "long", "max_epoch=1") / "checkpoints/last.ckpt"
    said(settings(world, "test_only=True", f"load_path={checkpoint}"))
