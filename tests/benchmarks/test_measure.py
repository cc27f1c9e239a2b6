"""Precisions that the benchmarks measure are those of a run."""

import sys

import pytest
import torch

import modules  # noqa: F401  (before torchvision)
from benchmarks import inference, train_step
from benchmarks.measure import precision_of_run, precisions_of

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("name", ["16", "tf32"])
@pytest.mark.parametrize("benchmark", [inference, train_step])
def test_what_a_cpu_does_not_compute_in(benchmark, name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmark", "--small", "--precision", name])
    assert benchmark.main() == 2
    said = capsys.readouterr().err
    assert said == f"error: --precision {name} needs a GPU: add --device cuda, or take 32, bf16\n"


@pytest.mark.filterwarnings("ignore:.*GradScaler is enabled")
def test_a_gpu_has_all_of_a_runs():
    assert precisions_of(CUDA) == ["32", "tf32", "bf16", "16"]
    assert precision_of_run("16", CUDA).scaler is not None
    with precision_of_run("bf16", CPU).forward_context():
        assert torch.get_autocast_dtype("cpu") == torch.bfloat16
        assert torch.is_autocast_enabled("cpu")
    with precision_of_run("32", CPU).forward_context():
        assert not torch.is_autocast_enabled("cpu")
