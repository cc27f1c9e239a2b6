"""``test_only=True``: the file of predictions, and what it needs."""

import hashlib
import json
import re
import shutil

import pytest

from tests.kit.small_world import settings

NAME = "anetqa_by_whole_seed0_version_0_best"


@pytest.fixture
def words(world, trained, tmp_path):
    return settings(world, "test_only=True", f"load_path={trained / 'best.ckpt'}", f"log_dir={tmp_path}")


def test_each_question_once_in_order_and_never_overwritten_unasked(world, trained, words, tmp_path, said):
    output, path = said(words), tmp_path / f"{NAME}.json"
    assert str(path) in output and re.search(r"24 questions, accuracy \d+\.\d\d %", output)
    records = json.loads(path.read_text())
    assert [record["qid"] for record in records] == [f"test{v}_{q}" for v in range(6) for q in range(4)]
    assert all(len(record["answer10"]) == 5 and record["answer10"][0] == record["answer"] for record in records)
    record = json.loads(path.with_suffix(".meta.json").read_text())
    files = {"checkpoint": trained / "best.ckpt", "annotations": world / "data/test.csv", "predictions": path}
    told = {f"{key}_sha256": hashlib.sha256(file.read_bytes()).hexdigest() for key, file in files.items()}
    told |= {"nframe": 2, "test_split": "test", "precision": 32, "answers": 5, "questions": 24, "dataset": "anetqa"}
    told["trained_on"] = "anetqa (5 answers, 2 frames per video, task_finetune_anetqa)"
    assert told.items() <= record.items()
    before = path.read_bytes()
    assert "overwrite=True" in said(words, 2)
    said([*words, "overwrite=True"])
    assert path.read_bytes() == before
    said([*words, "test_split=val"])
    records = json.loads((tmp_path / f"{NAME}_val.json").read_text())
    assert {record["qid"] for record in records} == {f"val{v}_{q}" for v in range(6) for q in range(4)}


def test_nothing_else_is_needed_but_the_test_split_and_its_videos(world, trained, tmp_path, said):
    """No settings, no files of training, no tokenizer: the checkpoint brings them."""
    data = tmp_path / "elsewhere/data"
    for frames in (world / "data/frames").glob("v_test*"):
        shutil.copytree(frames, data / "frames" / frames.name)
    for name in ("test.csv", "anetqa.h5"):
        shutil.copy(world / "data" / name, data)
    words = ["with", "test_only=True", f"load_path={shutil.copy(trained / 'best.ckpt', tmp_path / 'mine.ckpt')}"]
    words += ["accelerator=cpu", "precision=32", "num_workers=0", f"data_root={data}", f"log_dir={tmp_path}"]
    assert "24 questions, accuracy" in said(words)


def test_answers_and_tokens_that_training_lacks(world, words, tmp_path, said):
    note = "scored are 2 answers of your own; 2 of them are not among the 5 that the network was trained on"
    assert note in said([*words, "answers=['purple','mauve']"])
    records = json.loads((tmp_path / f"{NAME}.json").read_text())
    assert {record["answer"] for record in records} <= {"purple", "mauve"}
    # With another tokenizer answers would be at chance level, and nothing would say so.
    lines = (world / "tokenizer" / "vocab.txt").read_text().splitlines()
    (tmp_path / "vocab.txt").write_text("\n".join([*lines[:-2], lines[-1], lines[-2]]))
    error = said([*words, f"tokenizer={tmp_path}", "overwrite=True"], 2)
    assert f"tokenizer={tmp_path} has other tokens than" in error
