"""SIGKILL at random file operations: a training run that is resumed ends where the uninterrupted one does."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit import captioned_world, small_world
from tests.kit.kill_at.sitecustomize import variables
from tests.kit.paths import ROOT
from tests.kit.runs import assert_close_runs, assert_same_run

KILLS = 20
MOST_OPERATIONS = 40  # on files, from a start to a kill; half as many on average, 20 times: less than the runs have


def was_killed(words: list[str], log: Path, kill_at: dict[str, str]) -> bool:
    """Runs to the end, which must be in order, or until all ranks are killed."""
    with log.open("w") as file:
        own = {"env": os.environ | kill_at, "stdout": file, "stderr": file, "start_new_session": True}
        code = subprocess.run([sys.executable, "run.py", *words], cwd=ROOT, check=False, **own).returncode
    assert code in (0, -signal.SIGKILL), log.read_text()
    return code != 0


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("kind", ["fine-tuning", "pre-training"])
def test_killed_again_and_again(tmp_path, kind, ranks):
    more = [f"num_gpus={ranks}", f"per_gpu_batchsize={4 // ranks}", "checkpoint_steps=2"]
    if kind == "fine-tuning":
        small_world.make_small_world(tmp_path, num_videos=12, questions_each=10)
        words = small_world.settings(tmp_path, *more, "max_epoch=8", "val_check_interval=0.5")
    else:
        captioned_world.make_captioned_world(tmp_path)
        words = captioned_world.settings(tmp_path, *more, "max_steps=200", "val_check_interval=10")
    result, log, moments = tmp_path / "result", tmp_path / "log", random.Random(0)
    assert not was_killed([*words, "exp_name=whole"], log, {})
    for left in range(KILLS, -1, -1):
        resume = ["resume_from=last"] if list(result.glob("killed_seed0/**/*.ckpt")) else []
        place = moments.randint(1, MOST_OPERATIONS)
        kill_at = variables(place, result / "killed_seed0", group=True) if left else {}
        assert was_killed([*words, "exp_name=killed", *resume], log, kill_at) == bool(left)
    # A run that was killed before its first checkpoint leaves a folder without any.
    (last,), (expected,) = (list(result.glob(f"{name}_seed0/**/last.ckpt")) for name in ("killed", "whole"))
    if ranks == 1:
        assert_same_run(last, expected)
    assert_close_runs(last, expected, rtol=1e-6)
