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
GOES_ON = ({75}, "continue with the same command and resume_from=last$")
NOTHING_WRITTEN = ({75}, "with nothing written; start it again$")
DEAD = ({2}, r"rank 1 .process \d+. was killed by SIGKILL")
LOST = "(the processes of this run have lost each other|rank 0 .* is gone).*(\n.*)*continue with resume_from=last$"
WORKER = "error: a loader worker died .killed.; if memory was short, lower num_workers .now "


class Run:
    """run.py in a session of its own, as a terminal or a scheduler starts it."""

    def __init__(self, words: list[str], output: Path):
        self.output = output
        with output.open("w") as file:
            command = [sys.executable, "run.py", *words]
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file, start_new_session=True)

    def wait_until(self, reached: Callable[["Run"], object]) -> None:
        while not reached(self) and self.process.poll() is None:
            time.sleep(0.02)

    def alive(self) -> list[psutil.Process]:
        """Itself and what it started."""
        found = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return found

    def second_rank(self) -> psutil.Process | None:
        try:
            return next((own for own in self.alive() if own.environ().get("LOCAL_RANK") == "1"), None)
        except psutil.NoSuchProcess:
            return None

    def check(self, codes: set[int], last_words: str) -> None:
        """It ends with one of these codes. Nothing that it started may be left."""
        try:
            code = self.process.wait(SECONDS)
            deadline = time.monotonic() + SECONDS
            while self.alive() and time.monotonic() < deadline:
                time.sleep(0.1)
            said = self.output.read_text()
            assert not self.alive() and code in codes, said
        finally:
            for process in self.alive():
                process.kill()
        assert re.search(last_words, said.rstrip(), re.MULTILINE) and "Traceback" not in said, said


def says(text: str) -> Callable[[Run], bool]:
    return lambda run: text in run.output.read_text()


def send(number: int) -> Callable[[Run], None]:
    return lambda run: run.process.send_signal(number)


def send_all(number: int) -> Callable[[Run], None]:
    """As a terminal does on Ctrl-C, and many a scheduler."""
    return lambda run: os.killpg(run.process.pid, number)


def press_ctrl_c_twice(run: Run) -> None:
    run.process.send_signal(INT)
    run.wait_until(says("once more to stop at once"))
    run.process.send_signal(INT)


def kill_worker(run: Run) -> None:
    children = psutil.Process(run.process.pid).children()
    next(child for child in children if "run.py" in " ".join(child.cmdline())).kill()


def kill_second_rank(run: Run) -> None:
    run.second_rank().kill()


TRAINS, PREDICTS = says("validation after step"), says("prediction")
ENDINGS = {  # which run, words, when what is done, exit codes and last words
    "over": ("training", ["max_epoch=1"], None, None, ({0}, "best val/accuracy")),
    "SIGTERM": ("training", [], TRAINS, send(TERM), GOES_ON),
    "SIGINT": ("training", [], TRAINS, send(INT), GOES_ON),
    "SIGTERM to all": ("training", [], TRAINS, send_all(TERM), GOES_ON),
    "SIGINT to all": ("training", [], TRAINS, send_all(INT), GOES_ON),
    "SIGINT twice": ("training", [], TRAINS, press_ctrl_c_twice, ({130, 75}, "")),
    "killed": ("training", [], TRAINS, send(KILL), ({-KILL}, "")),
    "loss": ("training", ["optim_type=sgd", "learning_rate=1e30"], None, None, ({2}, "^error: the loss is not finite")),
    "worker": ("training", [], TRAINS, kill_worker, ({2}, f"{WORKER}2")),
    "only worker": ("training", ["num_workers=1"], TRAINS, kill_worker, ({2}, f"{WORKER}1")),
    "two ranks, SIGTERM": ("training", TWO, TRAINS, send_all(TERM), GOES_ON),
    "first rank": ("training", TWO, TRAINS, send(KILL), ({-KILL}, LOST)),
    "second rank": ("training", TWO, TRAINS, kill_second_rank, DEAD),
    "first rank, early": ("training", TWO, Run.second_rank, send(KILL), ({-KILL}, "")),
    "test, SIGTERM": ("testing", [], PREDICTS, send(TERM), NOTHING_WRITTEN),
    "test, SIGINT": ("testing", [], PREDICTS, send(INT), NOTHING_WRITTEN),
    "test of two ranks, SIGTERM": ("testing", TWO, PREDICTS, send(TERM), NOTHING_WRITTEN),
    "test of two ranks, SIGINT": ("testing", TWO, PREDICTS, send(INT), NOTHING_WRITTEN),
    "test, second rank, early": ("testing", TWO, Run.second_rank, kill_second_rank, DEAD),
    "test, second rank": ("testing", TWO, PREDICTS, kill_second_rank, DEAD),
}


@pytest.fixture
def training(tmp_path) -> list[str]:
    return settings(make_small_world(tmp_path, num_videos=12, questions_each=4), "num_workers=2", "max_epoch=500")


@pytest.fixture(scope="module")
def testing(tmp_path_factory) -> list[str]:
    world = make_small_world(tmp_path_factory.mktemp("large"), num_videos=400, questions_each=10)
    checkpoint = train(world, "it", "max_steps=1", "max_epoch=None", "warmup_steps=0") / "checkpoints/last.ckpt"
    return settings(world, "num_workers=2", "test_only=True", f"load_path={checkpoint}")


@pytest.mark.parametrize(("kind", "words", "reached", "act", "end"), ENDINGS.values(), ids=ENDINGS)
def test_ending(request, tmp_path, kind, words, reached, act, end):
    run = Run([*request.getfixturevalue(kind), f"log_dir={tmp_path / 'result'}", *words], tmp_path / "output")
    if reached:
        run.wait_until(reached)
        act(run)
    run.check(*end)
    assert not list((tmp_path / "result").glob("*.json"))


@pytest.mark.parametrize(("video", "more"), [("train3", ()), ("train3", TWO), ("val0", TWO), ("val1", TWO)])
def test_bad_frame(training, tmp_path, video, more):
    """Videos alternate between the ranks in the validation, which begins with a batch of each."""
    for path in (tmp_path / f"data/frames/v_{video}").iterdir():
        path.write_bytes(b"no picture")
    run = Run([*training, *more], tmp_path / "output")
    run.check({1, 2, -TERM}, rf"^error: .*v_{video}.* is not a whole png or jpg image")


@pytest.mark.parametrize(("numbers", "code"), [([TERM], 75), ([INT, INT], 130)])
def test_rank_that_waits_for_others_that_never_come(training, tmp_path, monkeypatch, numbers, code):
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
    environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 2}
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    run = Run([*training, *TWO], tmp_path / "output")
    connections = psutil.Process(run.process.pid).net_connections
    run.wait_until(lambda _: any(own.laddr.port == port and own.status == "LISTEN" for own in connections()))
    for number in numbers:
        time.sleep(1)
        run.process.send_signal(number)
    run.check({code}, "")
