"""scripts/gpu.sh: every test and benchmark that is for a GPU, in one command; its file; what it says without one."""

import argparse
import importlib
import sys

import pytest
import torch

from tests.kit.paths import ROOT

from .conftest import bash

SHOWN = '[[ "$1" == -c ]] && exit "${NO_GPU:-0}"\necho "ran $*"\n[[ -z "${MISSTEP:-}" || "$*" != *"$MISSTEP"* ]]'


@pytest.fixture
def gpu_script(tmp_path, program):
    """Runs the script with a stand-in for Python that prints its arguments, and fails on those with MISSTEP."""
    python, out = program(SHOWN), tmp_path / "new" / "out.txt"
    return lambda *words, **environment: bash("gpu.sh", *words, cwd=tmp_path, PYTHON=python, OUT=out, **environment)


def test_tests_and_benchmarks(gpu_script, tmp_path, monkeypatch):
    class ParsedError(Exception):
        pass

    def parse(parser, real=argparse.ArgumentParser.parse_args):
        assert torch.device(real(parser).device).type == "cuda"
        raise ParsedError

    done = gpu_script("-x")
    assert done.returncode == 0, done.stderr
    tests, *ran = (line.split()[1:] for line in done.stdout.splitlines() if line.startswith("ran "))
    assert tests == ["-m", "pytest", "-m", "gpu", "-x"]
    assert {words[1] for words in ran} == {f"benchmarks.{name}" for name in ("inference", "train_step", "features")}
    log = (tmp_path / "new" / "out.txt").read_text()
    assert all(" ".join(words) in log for words in (tests, *ran))
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    for _, *words in ran:
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(ParsedError):
            importlib.import_module(words[0]).main()
    assert "`bash scripts/gpu.sh`" in (ROOT / "README.md").read_text()


def test_a_failure_does_not_keep_the_rest_from_running(gpu_script):
    done = gpu_script(MISSTEP="benchmarks.inference")
    assert done.returncode == 1 and "benchmarks.features" in done.stdout
    assert done.stderr.startswith("FAILED: python -m benchmarks.inference --device cuda (log: ")


def test_without_a_gpu(gpu_script, tmp_path):
    done = gpu_script(NO_GPU="1")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "FAILED: PyTorch finds no GPU here\n")
    assert not (tmp_path / "new").exists()
