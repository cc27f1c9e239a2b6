"""A process of a run that dies takes the run down with it, within a minute and with a reason."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import run
from tests.small_world import make_small_world, settings

pytestmark = pytest.mark.slow

ROOT = Path(run.__file__).parent


def start_and_wait_for_training(arguments: list[str]) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "run.py", *arguments],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("epoch"):
            break
    return process


@pytest.fixture
def long_run(tmp_path) -> list[str]:
    world = make_small_world(tmp_path / "world", num_videos=20, questions_each=20)
    return settings(world, "max_epoch=500")


@pytest.mark.parametrize("num_workers", [1, 2])
def test_dead_loader_worker(long_run, num_workers):
    process = start_and_wait_for_training([*long_run, f"num_workers={num_workers}"])
    workers = [child for child in psutil.Process(process.pid).children() if "run.py" in " ".join(child.cmdline())]
    assert len(workers) >= num_workers
    killed = time.monotonic()
    workers[0].send_signal(signal.SIGKILL)
    output = process.stdout.read()
    assert process.wait(60) == 2, output
    assert time.monotonic() - killed < 60
    assert f"error: a loader worker died (killed); if memory was short, lower num_workers (now {num_workers})" in output


@pytest.mark.parametrize("victim", ["first rank", "second rank"])
def test_dead_rank(long_run, victim):
    process = start_and_wait_for_training([*long_run, "num_gpus=2", "per_gpu_batchsize=2"])
    (second,) = psutil.Process(process.pid).children()
    killed = time.monotonic()
    (second if victim == "second rank" else process).send_signal(signal.SIGKILL)
    output = process.stdout.read()
    assert process.wait(60) != 0
    second.wait(60)
    assert time.monotonic() - killed < 60
    assert "Traceback" not in output
    if victim == "first rank":
        assert "error: the processes of this run have lost each other" in output or not output.strip()
