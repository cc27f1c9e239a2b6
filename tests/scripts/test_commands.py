"""Scripts that run one command: it is a valid one, and what they say when something is missing."""

from dataclasses import asdict
from pathlib import Path

import pytest

import run  # noqa: F401  (brings the commands)
from config import Config, ex
from modules.config.checks import check_words
from modules.training.private import settings_of_words
from tests.kit.paths import ROOT

from .conftest import bash

RUNS = sorted(path.name for kind in ("train", "infer") for path in (ROOT / "scripts").glob(f"{kind}_*.sh"))
STARTS = dict.fromkeys(("train_trm.sh", "train_anetqa_mean.sh", "train_agqa_mean.sh"), "ckpt/vqa.pth")  # as published
STARTS |= dict.fromkeys(("train_anetqa.sh", "train_agqa.sh"), "ckpt/trm.ckpt")


@pytest.fixture
def given(tmp_path, program):
    """The words that a script gives to run.py; or its exit code and error."""
    python = program('printf "%s\\n" "$@"')

    def run_script(name, *arguments, **environment):
        done = bash(name, *arguments, cwd=tmp_path, PYTHON=python, **environment)
        if done.returncode:
            assert done.stdout == "" and done.stderr.count("\n") == 1
            return done.returncode, done.stderr
        script, *words = done.stdout.splitlines()
        assert Path(script).name == "run.py"
        check_words(words, asdict(Config()), ex.named_configs, ex.commands)
        return words

    return run_script


@pytest.mark.parametrize("script", RUNS)
def test_trainings_and_inference(given, tmp_path, script):
    words = given(script, "seed=3", CKPT="a b.ckpt", QUIRKS="1", NUM_GPUS="2")
    task = script.removesuffix(".sh").split("_", 1)[1]
    assert f"task_{'pretrain' if task == 'trm' else 'finetune'}_{task}" in words and words[-1] == "seed=3"
    assert {"load_path=a b.ckpt", "num_gpus=2", "num_nodes=1"} <= set(words)
    assert ("test_only=True" in words) == script.startswith("infer")
    assert ("published_quirks=True" in words) == (script in ("infer_anetqa.sh", "infer_agqa.sh"))
    code, said = given(script)
    assert code > 0 and "CKPT=" in said
    if file := STARTS.get(script):
        assert code == 2 and said.startswith(f"error: there is no {file}: put ")
        assert "load_path=own.pth" in given(script, "load_path=own.pth")
        (tmp_path / "ckpt").mkdir()
        (tmp_path / file).touch()
        assert f"load_path={file}" in given(script)


def test_ask_and_probe(given):
    assert {"probe=all", "test_only=True"} <= set(given("probe.sh", "seed=3", CKPT="x.ckpt", DATA_ROOT="x"))
    words = given("ask.sh", "my clip.mp4", "what is a=b", "task_finetune_anetqa", "nframe=3", CKPT="a b.ckpt")
    asked = ["video=my clip.mp4", "question='what is a=b'", "task_finetune_anetqa", "nframe=3"]
    assert words == ["ask", "with", "load_path=a b.ckpt", *asked]
    assert "CKPT=best.ckpt bash scripts/ask.sh VIDEO QUESTION" in given("ask.sh", "clip.mp4", "what is it")[1]
    said = given("ask.sh", "clip.mp4", "save=out.png", CKPT="x.ckpt")
    assert said[0] == 2 and said[1].startswith("error: give a video and a question: ")


@pytest.mark.parametrize("question", ["True", "['a']", "a \\' b\\", "'", "what & is $HOME `x` {0}", "what\nis it"])
def test_a_question_is_text_in_one_line(given, question):
    words = given("ask.sh", "clip.mp4", question, CKPT="x.ckpt")
    assert settings_of_words(words[2:])["question"] == question.replace("\n", " ")
