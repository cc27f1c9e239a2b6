"""However a run with loader workers ends, it ends soon, with the code that says how, and leaves no process behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import h5py
import psutil
import pytest

import run  # noqa: F401  (brings the commands)
from config import run_command_line
from tests.kit.paths import ROOT
from tests.kit.small_world import make_small_world, settings

pytestmark = pytest.mark.slow

SECONDS = 60  # to end in, start-up counted where a run ends by itself


class Run:
    """run.py in a session of its own, as a terminal or a scheduler starts it."""

    def __init__(self, world: Path, *more: str):
        self.output = world / "output"
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "run.py", *settings(world, "num_workers=2", "max_epoch=500", *more)],
                cwd=ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for_workers(self) -> None:
        """Until loader workers of every process of the run have been there for a second."""
        while len(self._left()) < 3 and self.process.poll() is None:
            time.sleep(0.02)
        time.sleep(1)

    def wait_for(self, line: str) -> None:
        while line not in self.said and self.process.poll() is None:
            time.sleep(0.02)

    @property
    def said(self) -> str:
        return self.output.read_text()

    def signal_all(self, number: int) -> None:
        """As a terminal does on Ctrl-C, and many a scheduler."""
        os.killpg(self.process.pid, number)

    def end(self) -> int:
        """The exit code. Nothing that it started may be left."""
        try:
            code = self.process.wait(SECONDS)
            deadline = time.monotonic() + SECONDS
            while self._left() and time.monotonic() < deadline:
                time.sleep(0.1)
            assert not self._left(), self.said
        finally:
            for process in self._left():
                process.kill()
        return code

    def _left(self) -> list[psutil.Process]:
        left = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE:
                    left.append(process)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return left


@pytest.fixture
def world(tmp_path) -> Path:
    return make_small_world(tmp_path / "world", num_videos=12, questions_each=4)


def test_training_is_over(world):
    ended = Run(world, "max_epoch=1")
    assert ended.end() == 0
    assert "validation after step" in ended.said


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize("to_all", [False, True])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal(world, number, to_all):
    stopped = Run(world)
    stopped.wait_for("validation after step")
    if to_all:
        stopped.signal_all(number)
    else:
        stopped.process.send_signal(number)
    assert stopped.end() == 75, stopped.said
    assert "continue with the same command and resume_from=last" in stopped.said.splitlines()[-1]
    assert "Traceback" not in stopped.said


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_second_ctrl_c(world):
    stopped = Run(world)
    stopped.wait_for("validation after step")
    stopped.signal_all(signal.SIGSTOP)  # so that the second comes before the step is finished
    for _ in range(2):
        stopped.signal_all(signal.SIGINT)
        stopped.process.send_signal(signal.SIGCONT)
        time.sleep(0.05)
        stopped.process.send_signal(signal.SIGSTOP) if stopped.process.poll() is None else None
    stopped.signal_all(signal.SIGCONT)
    assert stopped.end() in (130, 75)


def test_killed(world):
    killed = Run(world)
    killed.wait_for("validation after step")
    killed.process.kill()
    assert killed.end() == -signal.SIGKILL


def test_loss_is_not_finite(world):
    with h5py.File(world / "data/anetqa.h5", "r+") as features:
        features["train3"][:] = 3e38
    ended = Run(world)
    assert ended.end() == 2
    assert "error: the loss is not finite" in ended.said.splitlines()[-1]


def test_bad_frame(world):
    for path in (world / "data/frames/v_train3").iterdir():
        path.write_bytes(b"no picture")
    ended = Run(world)
    assert ended.end() == 2
    assert "is not a whole png or jpg image" in ended.said.splitlines()[-1]
    assert "Traceback" not in ended.said


def test_two_ranks(world):
    stopped = Run(world, "num_gpus=2", "per_gpu_batchsize=2")
    stopped.wait_for("validation after step")
    stopped.signal_all(signal.SIGTERM)
    assert stopped.end() == 75, stopped.said


@pytest.mark.parametrize("rank", [0, 1])
def test_bad_frame_of_one_of_two_ranks(world, rank):
    """Videos alternate between the ranks in the validation, which begins with a batch of each."""
    for path in (world / f"data/frames/v_val{rank}").iterdir():
        path.write_bytes(b"no picture")
    ended = Run(world, "num_gpus=2", "per_gpu_batchsize=2")
    assert ended.end() != 0
    assert re.search(rf"^error: .*v_val{rank}.* is not a whole png or jpg image", ended.said, re.MULTILINE), ended.said
    assert "Traceback" not in ended.said


def test_bad_frame_of_one_of_two_ranks_in_training(world):
    for path in (world / "data/frames/v_train3").iterdir():
        path.write_bytes(b"no picture")
    ended = Run(world, "num_gpus=2", "per_gpu_batchsize=2")
    assert ended.end() != 0
    assert re.search(r"^error: .*v_train3.* is not a whole png or jpg image", ended.said, re.MULTILINE), ended.said
    assert "Traceback" not in ended.said


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_in_a_test(tmp_path, number, processes):
    world = make_small_world(tmp_path / "world", num_videos=400, questions_each=10)
    assert run_command_line(settings(world, "max_steps=1", "max_epoch=None", "warmup_steps=0")) == 0
    (checkpoint,) = (world / "result").rglob("last.ckpt")
    stopped = Run(world, f"num_gpus={processes}", "test_only=True", f"load_path={checkpoint}")
    stopped.wait_for_workers()
    stopped.process.send_signal(number)
    assert stopped.end() == 75, stopped.said
    assert f"stopped by {number.name}, with nothing written; start it again" in stopped.said
    assert "Traceback" not in stopped.said
    assert not list((world / "result").glob("*.json"))


def test_first_rank_killed_while_the_second_starts(world):
    killed = Run(world, "num_gpus=2", "per_gpu_batchsize=2")
    while not psutil.Process(killed.process.pid).children():
        time.sleep(0.01)
    killed.process.kill()
    assert killed.end() == -signal.SIGKILL


def waits_for_other_ranks(process: psutil.Process, port: int) -> bool:
    """Whether the first rank listens for the others."""
    return any(own.laddr.port == port and own.status == "LISTEN" for own in process.net_connections())


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
def test_rank_that_waits_for_others_that_never_come(world, monkeypatch, signals):
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
    for name, value in {"MASTER_ADDR": "127.0.0.1", "RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_PORT", str(port))
    waiting = Run(world, "num_gpus=2", "per_gpu_batchsize=2")
    while waiting.process.poll() is None and not waits_for_other_ranks(psutil.Process(waiting.process.pid), port):
        time.sleep(0.1)
    time.sleep(1)
    asked = time.monotonic()
    for number in signals:
        waiting.process.send_signal(number)
        time.sleep(0.5)
    assert waiting.end() == (130 if len(signals) == 2 else 75), waiting.said
    assert time.monotonic() - asked < 20
    assert "Traceback" not in waiting.said
