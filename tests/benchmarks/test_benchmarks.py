"""Benchmarks run through, and know what they measure."""

import re
import shutil
import subprocess
import sys

import pytest
import torch

import modules  # noqa: F401  (before torchvision)
from benchmarks import compare, inference
from benchmarks.measure import precision_of_run, precisions_of
from tests.kit.paths import ROOT


def test_two_revisions_are_compared_on_the_same_work(tmp_path, monkeypatch, capsys):
    """In the first revision of a tree of its own answers take long to encode."""
    for name in ("benchmarks", "modules", "datamodules", "datasets"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    network = tmp_path / "modules/models/dest.py"
    fast = network.read_text()
    line = "        return self.ans_encoder.encode_by_length(ids, mask, lengths)\n"
    network.write_text(fast.replace(line, "        import time\n\n        time.sleep(0.5)\n" + line))
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "slow"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    network.write_text(fast)
    monkeypatch.setattr(compare, "ROOT", tmp_path)
    assert compare.main("HEAD --small --part training-k8 --precision 32 --rounds 1".split()) == 0
    (median,) = re.findall(r"([\d.]+)  \([\d.]+ to [\d.]+\)", capsys.readouterr().out)
    assert float(median) > 1.5


@pytest.mark.filterwarnings("ignore:.*GradScaler is enabled")
def test_precisions_are_those_of_a_run(monkeypatch, capsys):
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert precisions_of(cuda) == ["32", "tf32", "bf16", "16"] and precision_of_run("16", cuda).scaler is not None
    with precision_of_run("bf16", cpu).forward_context():
        assert torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    monkeypatch.setattr(sys, "argv", ["benchmark", "--small", "--precision", "16"])
    assert inference.main() == 2
    assert capsys.readouterr().err == "error: --precision 16 needs a GPU: add --device cuda, or take 32, bf16\n"
