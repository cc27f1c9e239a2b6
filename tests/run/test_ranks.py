"""Two ranks with a process group that takes nothing but tensors of the device, as NCCL: training, validation, test."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import run
from tests.kit.captioned_world import make_captioned_world
from tests.kit.captioned_world import settings as trm_settings
from tests.kit.small_world import make_small_world
from tests.kit.small_world import settings as qa_settings

ROOT = Path(run.__file__).parent
TWO = ("num_gpus=2", "per_gpu_batchsize=2")
SHORT = ("max_epoch=None", "max_steps=2", "warmup_steps=0", "val_check_interval=1", "checkpoint_steps=1")


def run_two(words: list[str], script: tuple[str, ...] = ("-m", "tests.kit.like_nccl")) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *script, *words],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def run_well(words: list[str], **options) -> str:
    done = run_two(words, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("objective", ["qa", "trm"])
def test_only_tensors_of_the_device_go_over_the_group_of_the_devices(tmp_path, objective):
    if objective == "qa":
        world = make_small_world(tmp_path / "world")
        words = qa_settings(world, *SHORT, *TWO)
    else:
        world = make_captioned_world(tmp_path)
        words = trm_settings(world, *SHORT, *TWO)
    assert "validation after step 2" in run_well([*words, "skip_bad_steps=1"])
    (last,) = world.rglob("last.ckpt")
    run_well([*words, "test_only=True", f"load_path={last}"])
    predictions, _ = sorted((world / "result").glob("*.json"))
    assert json.loads(predictions.read_text())


def test_fewer_videos_than_ranks(tmp_path):
    """Each question is still asked exactly once, in validation and in test."""
    world = make_small_world(tmp_path / "world", num_videos=1)
    words = qa_settings(world, "max_epoch=1", "warmup_steps=0", *TWO)
    script = ("run.py",)
    said = run_well(words, script=script)
    assert "validation after step 1" in said
    (last,) = world.rglob("last.ckpt")
    assert "4 questions, accuracy" in run_well([*words, "test_only=True", f"load_path={last}"], script=script)


@pytest.mark.parametrize("split", ["train", "val"])
def test_fewer_questions_than_ranks_are_refused(tmp_path, split):
    world = make_small_world(tmp_path / "world")
    path = world / "data" / f"{split}.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    done = run_two(qa_settings(world, *TWO), script=("run.py",))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert (
        f"error: 1 {'training questions' if split == 'train' else 'questions to validate or test'} are" in done.stderr
    )
    assert "too few for 2 processes: use fewer" in done.stderr
