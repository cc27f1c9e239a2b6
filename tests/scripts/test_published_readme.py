"""The commands of the published README, word for word, in a copy of the repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.paths import ROOT
from tests.kit.toy_world import toy_settings

from .conftest import OF_SCRIPTS


@pytest.fixture
def clone(tmp_path) -> Path:
    folder, ignored = tmp_path / "DeST", shutil.ignore_patterns("__pycache__")
    for name in ("datamodules", "datasets", "modules", "preproc", "scripts"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("config.py", "run.py", "eval.py"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def shell(clone: Path, command: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name not in OF_SCRIPTS}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHON": sys.executable}
    return subprocess.run(["bash", "-c", command], cwd=clone, env=environment, capture_output=True, text=True)


def test_training_and_inference(clone, toy_world, toy_checkpoint):
    (clone / "ckpt").mkdir()
    shutil.copy(toy_checkpoint, clone / "ckpt" / "trm.ckpt")
    words = " ".join(toy_settings(toy_world, clone / "result")[2:])
    training = f"bash scripts/train_anetqa.sh {words} max_steps=1 max_epoch=None warmup_steps=0 per_gpu_batchsize=64"
    done = shell(clone, training)
    assert (done.returncode, done.stderr) == (0, "") and "trm.ckpt is a DeST checkpoint" in done.stdout, done.stderr
    last = "result/anetqa_seed0/version_0/checkpoints/last.ckpt"
    predictions = "result/anetqa_by_anetqa_seed0_version_0_last.json"
    for command in (
        f"CKPT={last} bash scripts/infer_anetqa.sh {words}",
        f"python eval.py anet {predictions} {toy_world}/data/anetqa/test.csv",
    ):
        done = shell(clone, command)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
