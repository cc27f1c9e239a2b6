"""A process of a run that dies takes the run down with it, within a minute and with a reason."""

import contextlib
import signal
import subprocess
import time

import psutil
import pytest

import run  # noqa: F401  (brings the commands)
from config import run_command_line
from tests.kit.processes import start
from tests.kit.small_world import make_small_world, settings

pytestmark = pytest.mark.slow


def start_and_wait_for_training(arguments: list[str]) -> subprocess.Popen:
    process = start("run.py", *arguments)
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
    code = process.wait(60)
    second.wait(60)
    assert time.monotonic() - killed < 60
    assert "Traceback" not in output
    assert output.rstrip().endswith("continue with resume_from=last")
    if victim == "second rank":
        assert code == 2
        assert f"rank 1 (process {second.pid}) was killed by SIGKILL" in output
    else:
        assert code == -signal.SIGKILL
        lost = "error: the processes of this run have lost each other"
        assert lost in output or f"error: rank 0 (process {process.pid}) is gone" in output


def second_rank(first: int) -> psutil.Process | None:
    for child in psutil.Process(first).children():
        with contextlib.suppress(psutil.Error):
            if child.environ().get("LOCAL_RANK") == "1":
                return child
    return None


@pytest.mark.parametrize("when", ["start", "prediction"])
def test_dead_rank_of_a_test(tmp_path, when):
    """The first rank does not wait for the second in prediction; while it starts, it would for half an hour."""
    world = make_small_world(tmp_path / "world", num_videos=400, questions_each=10)
    assert run_command_line(settings(world, "max_steps=1", "max_epoch=None", "warmup_steps=0")) == 0
    (checkpoint,) = (world / "result").rglob("last.ckpt")
    arguments = settings(world, "num_gpus=2", "per_gpu_batchsize=1", "test_only=True", f"load_path={checkpoint}")
    process = start("run.py", *arguments)
    if when == "prediction":
        assert any(line.startswith("prediction") for line in process.stdout)
    while (second := second_rank(process.pid)) is None:
        time.sleep(0.02)
    killed = time.monotonic()
    second.kill()
    output = process.stdout.read()
    assert process.wait(60) == 2, output
    assert time.monotonic() - killed < 60
    assert f"rank 1 (process {second.pid}) was killed by SIGKILL" in output
    assert output.rstrip().endswith("start it again")
    assert "Traceback" not in output
