"""Two revisions are compared on the same work, whatever has changed between them."""

import re
import shutil
import subprocess

import pytest

from benchmarks import compare
from tests.kit.paths import ROOT


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A tree of its own with a first revision in which answers take long to encode."""
    for name in ("benchmarks", "modules", "datamodules", "datasets"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    network = tmp_path / "modules/models/dest.py"
    fast = network.read_text()
    line = "        return self.ans_encoder.encode_by_length(ids, mask, lengths)\n"
    assert line in fast
    network.write_text(fast.replace(line, "        import time\n\n        time.sleep(0.5)\n" + line))
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "slow"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    network.write_text(fast)
    monkeypatch.setattr(compare, "ROOT", tmp_path)


@pytest.mark.usefixtures("repository")
def test_the_ratio_of_a_slower_revision(capsys):
    words = ["HEAD", "--small", "--part", "training-k8", "--precision", "32", "--rounds", "1"]
    assert compare.main(words) == 0
    (median,) = re.findall(r"([\d.]+)  \([\d.]+ to [\d.]+\)", capsys.readouterr().out)
    assert float(median) > 1.5


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(("words", "said"), [(["nowhere"], "git has no revision 'nowhere'"), ([], "name one or two")])
def test_what_it_is_not_told(words, said, capsys):
    assert compare.main(words) == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")
