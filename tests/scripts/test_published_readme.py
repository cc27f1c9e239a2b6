"""The commands of the published README, word for word, in a copy of the repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.paths import ROOT
from tests.kit.toy_world import toy_settings

STARTS = {
    "train_trm.sh": "ckpt/vqa.pth",
    "train_anetqa.sh": "ckpt/trm.ckpt",
    "train_agqa.sh": "ckpt/trm.ckpt",
    "train_anetqa_mean.sh": "ckpt/vqa.pth",
    "train_agqa_mean.sh": "ckpt/vqa.pth",
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clone") / "DeST"
    parts = ("datamodules", "datasets", "modules", "preproc", "scripts", "config.py", "run.py", "eval.py")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in parts:
        copy = shutil.copy if (ROOT / name).is_file() else lambda *paths: shutil.copytree(*paths, ignore=ignored)
        folder.mkdir(exist_ok=True)
        copy(ROOT / name, folder / name)
    return folder


def shell(clone: Path, command: str, **environment: str) -> subprocess.CompletedProcess:
    kept = {name: value for name, value in os.environ.items() if name not in ("CKPT", "DATA_ROOT", "NUM_GPUS")}
    python = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = kept | {"PATH": python, "PYTHON": sys.executable} | environment
    return subprocess.run(
        ["bash", "-c", command], cwd=clone, env=environment, capture_output=True, text=True, check=False
    )


def test_preprocessing(clone, toy_world):
    (clone / "activitynet-qa").mkdir()
    (clone / "activitynet-qa" / "dataset").symlink_to(toy_world / "raw" / "anetqa")
    (clone / "AGQA_balanced").symlink_to(toy_world / "raw" / "agqa")
    done = shell(clone, "python preproc/preproc_anetqa.py -i activitynet-qa/dataset data/anetqa")
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in (clone / "data/anetqa").iterdir()} >= {
        "train.csv",
        "val.csv",
        "test.csv",
        "vocab.json",
    }
    assert (clone / "data/anetqa/test.csv").read_bytes() == (toy_world / "data/anetqa/test.csv").read_bytes()
    done = shell(clone, "python preproc/preproc_agqa.py -i AGQA_balanced data/agqa")
    assert (done.returncode, done.stderr) == (0, "")
    names = {path.name for path in (clone / "data/agqa").iterdir()}
    assert names >= {"train.json", "val.json", "test.json", "vocab.json"}


@pytest.mark.parametrize("script", STARTS)
def test_where_training_starts(clone, tmp_path, script):
    shown, file = tmp_path / "python", STARTS[script]
    shown.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    shown.chmod(0o755)
    (tmp_path / "ckpt").mkdir()
    command = f"cd {tmp_path}; bash {clone}/scripts/{script}"
    done = shell(clone, command, PYTHON=str(shown))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: there is no {file}: put ")
    assert done.stderr.endswith(f" there, or give another file: CKPT=FILE bash {clone}/scripts/{script}\n")
    assert done.stderr.count("\n") == 1
    assert "load_path=own.pth" in shell(clone, f"{command} load_path=own.pth", PYTHON=str(shown)).stdout.splitlines()
    assert "load_path=a.pth" in shell(clone, command, PYTHON=str(shown), CKPT="a.pth").stdout.splitlines()
    (tmp_path / file).touch()
    assert f"load_path={file}" in shell(clone, command, PYTHON=str(shown)).stdout.splitlines()


def test_training_and_inference(clone, toy_world, toy_checkpoint):
    (clone / "ckpt").mkdir(exist_ok=True)
    shutil.copy(toy_checkpoint, clone / "ckpt" / "trm.ckpt")
    words = " ".join(toy_settings(toy_world, clone / "result")[2:])
    training = f"bash scripts/train_anetqa.sh {words} max_steps=1 max_epoch=None warmup_steps=0 per_gpu_batchsize=64"
    done = shell(clone, training)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "trm.ckpt is a DeST checkpoint" in done.stdout
    last = "result/anetqa_seed0/version_0/checkpoints/last.ckpt"
    done = shell(clone, f"bash scripts/infer_anetqa.sh {words}")
    assert done.returncode != 0
    assert "CKPT" in done.stderr
    done = shell(clone, f"CKPT={last} bash scripts/infer_anetqa.sh {words}")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    predictions = clone / "result" / "anetqa_by_anetqa_seed0_version_0_last.json"
    done = shell(clone, f"python eval.py anet {predictions} {toy_world}/data/anetqa/test.csv")
    assert done.returncode == 0, done.stderr
