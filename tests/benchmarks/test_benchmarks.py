"""Benchmarks run through, and know what they measure."""

import re
import shutil
import subprocess

import modules  # noqa: F401  (before torchvision)
from benchmarks import compare
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
