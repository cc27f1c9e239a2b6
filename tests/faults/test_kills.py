"""SIGKILL at random moments: a training run that is resumed ends where the uninterrupted one does."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import run
from tests.small_world import make_small_world, settings
from tests.test_run import assert_same_run

pytestmark = pytest.mark.slow

ROOT = Path(run.__file__).parent
KILLS = 20
STEPS = 60  # of about 0.1 s each


def start(arguments: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "run.py", *arguments],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run_with_kills(arguments: list[str], folder: Path, kills: int, seed: int) -> int:
    """Starts the run, kills it with all its processes after a random time, resumes it, and so on; counts the kills."""
    moments = random.Random(seed)
    killed = 0
    while True:
        resume = ["resume_from=last"] if list(folder.rglob("*.ckpt")) else []
        process = start([*arguments, *resume])
        for line in process.stdout:
            if "logs and checkpoints" in line:
                break
        if killed < kills:
            try:
                process.wait(moments.uniform(0.0, 1.5))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
                killed += 1
                continue
        output = process.stdout.read()
        assert process.wait(900) == 0, output
        return killed


@pytest.mark.parametrize(("processes", "kills"), [(1, KILLS), (2, 4)])
def test_ends_where_the_uninterrupted_run_ends(tmp_path, processes, kills):
    world = make_small_world(tmp_path / "world", num_videos=12, questions_each=10)
    arguments = settings(
        world,
        f"num_gpus={processes}",
        f"per_gpu_batchsize={4 // processes}",
        "max_epoch=4",
        "val_check_interval=0.5",
        "checkpoint_steps=2",
    )
    whole = start([*arguments, "exp_name=whole"])
    output = whole.communicate(timeout=900)[0]
    assert whole.returncode == 0, output
    killed = run_with_kills([*arguments, "exp_name=killed"], world / "result/killed_seed0", kills, seed=processes)
    assert killed == kills, "the run was over before it was killed often enough"
    # A run that was killed before its first checkpoint leaves a folder without any.
    (last,) = (world / "result/killed_seed0").rglob("last.ckpt")
    (expected,) = (world / "result/whole_seed0").rglob("last.ckpt")
    if processes == 1:
        assert_same_run(last, expected)
    one, other = (torch.load(path, weights_only=True)["state_dict"] for path in (last, expected))
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-6, atol=1e-6)
