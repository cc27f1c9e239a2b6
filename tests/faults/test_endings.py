"""However a run with loader workers ends, it ends soon, with the code that says how, and leaves no process behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.kit.paths import ROOT
from tests.kit.runs import train
from tests.kit.small_world import make_small_world, settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("heeds_ctrl_c")]

SECONDS = 60  # to end in, start-up counted where a run ends by itself
TWO = ("num_gpus=2", "per_gpu_batchsize=2")
TERM, INT, KILL = signal.SIGTERM, signal.SIGINT, signal.SIGKILL
CONTINUE = "continue with the same command and resume_from=last$"
NOTHING_WRITTEN = "with nothing written; start it again$"
WORKER = "error: a loader worker died .killed.; if memory was short, lower num_workers .now "
DEAD = r"rank 1 .process \d+. was killed by SIGKILL"
LOST = "(the processes of this run have lost each other|rank 0 .* is gone).*(\n.*)*continue with resume_from=last$"


class Run:
    """run.py in a session of its own, as a terminal or a scheduler starts it."""

    def __init__(self, words: list[str], output: Path):
        self.output = output
        with output.open("w") as file:
            command = [sys.executable, "run.py", *words]
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file, start_new_session=True)

    @property
    def said(self) -> str:
        return self.output.read_text()

    def wait_until(self, reached: Callable[["Run"], bool]) -> None:
        while not reached(self) and self.process.poll() is None:
            time.sleep(0.02)

    def alive(self) -> list[psutil.Process]:
        """Itself and what it started, the oldest first."""
        found = []
        for process in psutil.process_iter(["create_time"]):
            try:
                if os.getsid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return sorted(found, key=lambda process: process.info["create_time"])

    def second_rank(self) -> psutil.Process | None:
        try:
            return next((own for own in self.alive() if own.environ().get("LOCAL_RANK") == "1"), None)
        except psutil.NoSuchProcess:
            return None

    def end(self) -> int:
        """The exit code. Nothing that it started may be left."""
        try:
            code = self.process.wait(SECONDS)
            deadline = time.monotonic() + SECONDS
            while self.alive() and time.monotonic() < deadline:
                time.sleep(0.1)
            assert not self.alive(), self.said
        finally:
            for process in self.alive():
                process.kill()
        return code

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def signal_all(self, number: int) -> None:
        """As a terminal does on Ctrl-C, and many a scheduler."""
        os.killpg(self.process.pid, number)

    def press_ctrl_c_twice(self) -> None:
        self.signal(INT)
        self.wait_until(lambda run: "once more to stop at once" in run.said)
        self.signal(INT)

    def kill_worker(self) -> None:
        children = psutil.Process(self.process.pid).children()
        next(child for child in children if "run.py" in " ".join(child.cmdline())).kill()

    def check(self, reached: Callable[["Run"], bool] | None, act: Callable[["Run"], None], codes: set[int], says: str):
        if reached:
            self.wait_until(reached)
            act(self)
        assert self.end() in codes, self.said
        assert re.search(says, self.said.rstrip(), re.MULTILINE), self.said
        assert "Traceback" not in self.said


def trains(run: Run) -> bool:
    return "validation after step" in run.said


def predicts(run: Run) -> bool:
    return "prediction" in run.said


TRAINING = {  # words, when what is done, exit codes, last words
    "over": (["max_epoch=1"], None, None, {0}, "best val/accuracy"),
    "SIGTERM": ([], trains, lambda run: run.signal(TERM), {75}, CONTINUE),
    "SIGINT": ([], trains, lambda run: run.signal(INT), {75}, CONTINUE),
    "SIGTERM to all": ([], trains, lambda run: run.signal_all(TERM), {75}, CONTINUE),
    "SIGINT to all": ([], trains, lambda run: run.signal_all(INT), {75}, CONTINUE),
    "SIGINT twice": ([], trains, Run.press_ctrl_c_twice, {130, 75}, ""),
    "killed": ([], trains, lambda run: run.signal(KILL), {-KILL}, ""),
    "loss": (["optim_type=sgd", "learning_rate=1e30"], None, None, {2}, "^error: the loss is not finite"),
    "worker": ([], trains, Run.kill_worker, {2}, f"{WORKER}2"),
    "only worker": (["num_workers=1"], trains, Run.kill_worker, {2}, f"{WORKER}1"),
    "two ranks, SIGTERM": (TWO, trains, lambda run: run.signal_all(TERM), {75}, CONTINUE),
    "first rank": (TWO, trains, lambda run: run.signal(KILL), {-KILL}, LOST),
    "second rank": (TWO, trains, lambda run: run.second_rank().kill(), {2}, DEAD),
    "first rank, early": (TWO, Run.second_rank, lambda run: run.signal(KILL), {-KILL}, ""),
}


@pytest.fixture
def world(tmp_path) -> Path:
    return make_small_world(tmp_path / "world", num_videos=12, questions_each=4)


@pytest.mark.parametrize(("words", "reached", "act", "codes", "says"), TRAINING.values(), ids=TRAINING)
def test_training(world, tmp_path, words, reached, act, codes, says):
    words = settings(world, "num_workers=2", "max_epoch=500", *words)
    Run(words, tmp_path / "output").check(reached, act, codes, says)


@pytest.mark.parametrize(("video", "more"), [("train3", ()), ("train3", TWO), ("val0", TWO), ("val1", TWO)])
def test_bad_frame(world, tmp_path, video, more):
    """Videos alternate between the ranks in the validation, which begins with a batch of each."""
    for path in (world / f"data/frames/v_{video}").iterdir():
        path.write_bytes(b"no picture")
    says = rf"^error: .*v_{video}.* is not a whole png or jpg image"
    Run(settings(world, "num_workers=2", *more), tmp_path / "output").check(None, None, {1, 2, -TERM}, says)


@pytest.fixture(scope="module")
def words_of_a_test(tmp_path_factory) -> list[str]:
    world = make_small_world(tmp_path_factory.mktemp("large") / "world", num_videos=400, questions_each=10)
    checkpoint = train(world, "it", "max_steps=1", "max_epoch=None", "warmup_steps=0") / "checkpoints/last.ckpt"
    return settings(world, "num_workers=2", "test_only=True", f"load_path={checkpoint}")


TESTS = {
    "SIGTERM": ([], predicts, lambda run: run.signal(TERM), {75}, NOTHING_WRITTEN),
    "SIGINT": ([], predicts, lambda run: run.signal(INT), {75}, NOTHING_WRITTEN),
    "two ranks, SIGTERM": (TWO, predicts, lambda run: run.signal(TERM), {75}, NOTHING_WRITTEN),
    "two ranks, SIGINT": (TWO, predicts, lambda run: run.signal(INT), {75}, NOTHING_WRITTEN),
    "second rank, early": (TWO, Run.second_rank, lambda run: run.second_rank().kill(), {2}, DEAD),
    "second rank": (TWO, predicts, lambda run: run.second_rank().kill(), {2}, DEAD),
}


@pytest.mark.parametrize(("words", "reached", "act", "codes", "says"), TESTS.values(), ids=TESTS)
def test_testing(words_of_a_test, tmp_path, words, reached, act, codes, says):
    words = [*words_of_a_test, f"log_dir={tmp_path / 'result'}", *words]
    Run(words, tmp_path / "output").check(reached, act, codes, says)
    assert not list((tmp_path / "result").glob("*.json"))


@pytest.mark.parametrize(("numbers", "code"), [([TERM], 75), ([INT, INT], 130)])
def test_rank_that_waits_for_others_that_never_come(world, tmp_path, monkeypatch, numbers, code):
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
    environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 2}
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))

    def listens(run: Run) -> bool:
        connections = psutil.Process(run.process.pid).net_connections()
        return any(own.laddr.port == port and own.status == "LISTEN" for own in connections)

    def act(run: Run) -> None:
        for number in numbers:
            time.sleep(1)
            run.signal(number)

    Run(settings(world, *TWO), tmp_path / "output").check(listens, act, {code}, "")
