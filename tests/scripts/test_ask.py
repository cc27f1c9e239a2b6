"""scripts/ask.sh and scripts/web_demo.sh: one valid command line each, and what they say when something is missing."""

import os
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

import run  # noqa: F401  (brings the commands)
from config import Config, ex
from modules.config_checks import check_words

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def command(tmp_path):
    """Runs a script with a stand-in for Python that prints its arguments; returns them, or what went wrong."""
    shown = tmp_path / "python"
    shown.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    shown.chmod(0o755)

    def run_script(name, *arguments, **environment):
        done = subprocess.run(
            ["bash", str(ROOT / "scripts" / name), *arguments],
            env={key: value for key, value in os.environ.items() if key not in ("CKPT", "SWIN", "TOY")}
            | {"PYTHON": str(shown)}
            | environment,
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
        assert words == ["ask", "with", "load_path=a b.ckpt", "video=my clip.mp4", "question=what is a=b", "nframe=3"]
        words = command("ask.sh", "clip.mp4", "why", CKPT="x.ckpt", SWIN="my swin.pth")
        assert "swin_path=my swin.pth" in words

    def test_what_is_missing(self, command):
        code, said = command("ask.sh", "clip.mp4", "what is it")
        assert code != 0
        assert "CKPT=anetqa.ckpt bash scripts/ask.sh VIDEO QUESTION" in said
        for words in (["clip.mp4"], [], ["clip.mp4", "save=out.png"]):
            code, said = command("ask.sh", *words, CKPT="x.ckpt")
            assert code == 2
            assert said.startswith("error: give a video and a question: ")


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
