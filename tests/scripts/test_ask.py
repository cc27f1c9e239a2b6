"""scripts/ask.sh and scripts/web_demo.sh: one valid command line each, and what they say when something is missing."""

import os
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

import run  # noqa: F401  (brings the commands)
from config import Config, ex
from modules.config.checks import check_words
from modules.training.private import settings_of_words
from tests.kit.paths import ROOT


@pytest.fixture
def command(tmp_path):
    """Runs a script with a stand-in for Python that prints its arguments; returns them, or what went wrong."""
    shown = tmp_path / "python"
    shown.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    shown.chmod(0o755)

    def run_script(name, *arguments, **environment):
        environment = {"PYTHON": str(shown)} | environment
        done = subprocess.run(
            ["bash", str(ROOT / "scripts" / name), *arguments],
            env={key: value for key, value in os.environ.items() if key not in ("CKPT", "SWIN", "TOY")} | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return done.returncode, done.stderr
        script, *words = done.stdout.splitlines()
        assert Path(script).name == "run.py"
        check_words(words, asdict(Config()), ex.named_configs, ex.commands)
        return words

    return run_script


class TestAsk:
    def test_words(self, command):
        words = command("ask.sh", "my clip.mp4", "what is a=b", "nframe=3", CKPT="a b.ckpt")
        assert words == ["ask", "with", "load_path=a b.ckpt", "video=my clip.mp4", "question='what is a=b'", "nframe=3"]
        words = command("ask.sh", "clip.mp4", "why", CKPT="x.ckpt", SWIN="my swin.pth")
        assert "swin_path=my swin.pth" in words

    @pytest.mark.parametrize(
        "question",
        [
            "True",
            "12",
            "None",
            "['a']",
            'it\'s a "quote"',
            "a \\' b\\",
            "'",
            "\\",
            "what & is $HOME `x` {0}",
            "is it é",
        ],
    )
    def test_a_question_is_text(self, command, question):
        words = command("ask.sh", "clip.mp4", question, CKPT="x.ckpt")
        updates = settings_of_words(words[2:])
        assert updates["question"] == question

    def test_lines_of_a_question_become_one(self, command):
        updates = settings_of_words(command("ask.sh", "clip.mp4", "what\nis it", CKPT="x.ckpt")[2:])
        assert updates["question"] == "what is it"

    def test_a_recipe(self, command):
        words = command("ask.sh", "clip.mp4", "why", "task_finetune_anetqa", "published_quirks=True", CKPT="x.ckpt")
        assert words[-2:] == ["task_finetune_anetqa", "published_quirks=True"]

    def test_what_is_missing(self, command):
        code, said = command("ask.sh", "clip.mp4", "what is it")
        assert code != 0
        assert "CKPT=best.ckpt bash scripts/ask.sh VIDEO QUESTION" in said
        for words in (["clip.mp4"], [], ["clip.mp4", "save=out.png"]):
            code, said = command("ask.sh", *words, CKPT="x.ckpt")
            assert code == 2
            assert said.startswith("error: give a video and a question: ")


@pytest.mark.parametrize("name", ["ask.sh", "train_trm.sh", "infer_anetqa.sh"])
@pytest.mark.parametrize("installed", [True, False])
def test_python_is_that_of_the_environment_made_here(tmp_path, name, installed):
    """Unless PYTHON is set; without `.venv`, what the path has."""
    shutil.copytree(ROOT / "scripts", tmp_path / "a b" / "scripts")
    (tmp_path / "bin").mkdir()
    (tmp_path / "a b" / ".venv" / "bin").mkdir(parents=True)
    pythons = {".venv": tmp_path / "a b" / ".venv" / "bin" / "python", "path": tmp_path / "bin" / "python"}
    for said, python in pythons.items():
        if installed or said == "path":
            python.write_text(f"#!/bin/sh\necho {said}\n")
            python.chmod(0o755)
    done = subprocess.run(
        ["bash", str(tmp_path / "a b" / "scripts" / name), "clip.mp4", "what is it"],
        env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "CKPT": "x.ckpt"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (".venv\n" if installed else "path\n")


def test_every_script_takes_it():
    paths = [ROOT / "scripts" / "ask.sh", *(ROOT / "scripts").glob("train_*"), *(ROOT / "scripts").glob("infer_*")]
    assert len(paths) > 10
    for path in paths:
        assert 'source "$(dirname "$0")/python.sh"\n' in path.read_text(), path
        assert '\n"$PYTHON" "$(dirname "$0")/../run.py"' in path.read_text(), path


class TestWebDemo:
    def test_files_are_named_from_where_the_command_was_given(self, command, tmp_path):
        words = command(
            "web_demo.sh", "--port", "7000", "--host=0.0.0.0", "upload_seconds=5", CKPT="x.ckpt", SWIN="/y.pth"
        )
        assert words[:2] == ["web", "with"]
        settings = ["swin_path=/y.pth", f"load_path={tmp_path}/x.ckpt", "port=7000", "host=0.0.0.0", "upload_seconds=5"]
        assert words[2:] == settings

    def test_on_the_toy_world(self, command, tmp_path):
        (tmp_path / "toy" / "checkpoints").mkdir(parents=True)
        (tmp_path / "toy" / "checkpoints" / "anetqa_with_trm.ckpt").touch()
        words = command("web_demo.sh", TOY=str(tmp_path / "toy"))
        assert f"load_path={tmp_path}/toy/checkpoints/anetqa_with_trm.ckpt" in words
        assert f"examples={tmp_path}/toy/raw/anetqa/videos" in words

    def test_what_is_missing(self, command, tmp_path):
        code, said = command("web_demo.sh", TOY=str(tmp_path / "toy"))
        assert (code, said.count("\n")) == (2, 1)
        assert "run `bash scripts/demo.sh` first, or give CKPT" in said
        assert command("web_demo.sh", "--prot", "7", CKPT="x.ckpt") == (
            2,
            "error: there is no option --prot; bash scripts/web_demo.sh [--host HOST] [--port PORT] [key=value …]\n",
        )
        assert command("web_demo.sh", "--port", CKPT="x.ckpt") == (2, "error: --port needs a value\n")
