"""scripts/gpu.sh: every test and benchmark that is for a GPU, in one command; its file; what it says without one."""

import argparse
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def gpu_script(tmp_path):
    """Runs the script with a stand-in for Python that prints its arguments, and fails on those with MISSTEP."""
    shown = tmp_path / "python"
    shown.write_text(
        '#!/bin/bash\n[[ "$1" == -c ]] && exit "${NO_GPU:-0}"\necho "ran $*"\n'
        '[[ -z "${MISSTEP:-}" || "$*" != *"$MISSTEP"* ]]\n'
    )
    shown.chmod(0o755)

    def run(*arguments, **environment):
        environment = os.environ | {"PYTHON": str(shown), "OUT": str(tmp_path / "new" / "out.txt")} | environment
        command = ["bash", str(ROOT / "scripts" / "gpu.sh"), *arguments]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def test_tests_and_benchmarks(gpu_script, tmp_path):
    done = gpu_script("-x")
    assert done.returncode == 0, done.stderr
    ran = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("ran ")]
    assert ran[0] == ["-m", "pytest", "-m", "gpu", "-x"]
    assert {words[1] for words in ran[1:]} == {f"benchmarks.{name}" for name in ("inference", "train_step", "features")}
    assert all("--device cuda" in " ".join(words) for words in ran[1:])
    log = (tmp_path / "new" / "out.txt").read_text()
    assert all(" ".join(words) in log for words in ran)


def test_the_benchmarks_take_these_words(gpu_script, monkeypatch):
    class ParsedError(Exception):
        pass

    def parse(parser, real=argparse.ArgumentParser.parse_args):
        assert torch.device(real(parser).device).type == "cuda"
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    for line in gpu_script().stdout.splitlines():
        if line.startswith("ran -m benchmarks."):
            words = line.split()[2:]
            monkeypatch.setattr(sys, "argv", words)
            with pytest.raises(ParsedError):
                importlib.import_module(words[0]).main()


def test_a_failure_does_not_keep_the_rest_from_running(gpu_script):
    done = gpu_script(MISSTEP="benchmarks.inference")
    assert done.returncode == 1
    assert done.stderr.startswith("FAILED: python -m benchmarks.inference --device cuda (log: ")
    assert "benchmarks.features" in done.stdout


def test_without_a_gpu(gpu_script, tmp_path):
    done = gpu_script(NO_GPU="1")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "FAILED: PyTorch finds no GPU here\n")
    assert not (tmp_path / "new").exists()


def test_the_tests_python_without_a_gpu(gpu_script):
    if torch.cuda.is_available():
        pytest.skip("has one")
    done = gpu_script(PYTHON=sys.executable)
    assert (done.returncode, done.stderr) == (1, "FAILED: PyTorch finds no GPU here\n")


def test_the_readme_names_it():
    assert "`bash scripts/gpu.sh`" in (ROOT / "README.md").read_text()
