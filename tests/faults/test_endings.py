"""However a run with loader workers ends, it ends soon, with the code that says how, and leaves no process behind."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
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


class Run:
    """run.py in a session of its own, as a terminal or a scheduler starts it; its parts give their process ids."""

    def __init__(self, words: list[str], output: Path):
        self.output = output
        with output.open("w") as file:
            command = [sys.executable, "run.py", *words]
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file, start_new_session=True)

    def alive(self) -> list[psutil.Process]:
        """Itself and what it started."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
                if os.getsid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def first(self) -> int:
        return self.process.pid

    def everyone(self) -> int:
        """Whom a terminal tells on Ctrl-C, and many a scheduler."""
        return -self.process.pid

    def second(self) -> int | None:
        with contextlib.suppress(psutil.NoSuchProcess):
            return next((own.pid for own in self.alive() if own.environ().get("LOCAL_RANK") == "1"), None)
        return None

    def worker(self) -> int:
        children = psutil.Process(self.process.pid).children()
        return next(child.pid for child in children if "run.py" in " ".join(child.cmdline()))

    def trains(self) -> bool:
        return "validation after step" in self.output.read_text()

    def predicts(self) -> bool:
        return "prediction" in self.output.read_text()

    def check(self, codes: set[int], last_words: str) -> None:
        """It ends with one of these codes. Nothing that it started may be left."""
        try:
            code = self.process.wait(SECONDS)
            psutil.wait_procs(self.alive(), SECONDS)
            said = self.output.read_text()
            assert not self.alive() and code in codes, said
        finally:
            for process in self.alive():
                process.kill()
        assert re.search(last_words, said.rstrip(), re.MULTILINE) and "Traceback" not in said, said


GOES_ON = ({75}, "continue with the same command and resume_from=last$")
NOTHING_WRITTEN = ({75}, "with nothing written; start it again$")
DEAD = ({2}, r"rank 1 .process \d+. was killed by SIGKILL")
LOST = "(the processes of this run have lost each other|rank 0 .* is gone).*(\n.*)*continue with resume_from=last$"
WORKER = "error: a loader worker died .killed.; if memory was short, lower num_workers .now "
ENDINGS = {  # which run, words, when who is sent what, exit codes and last words
    "SIGTERM to all": ("training", [], Run.trains, Run.everyone, [TERM], GOES_ON),
    "SIGINT to all": ("training", [], Run.trains, Run.everyone, [INT], GOES_ON),
    "SIGINT twice": ("training", [], Run.trains, Run.first, [INT, INT], ({130, 75, -INT}, "")),
    "killed": ("training", [], Run.trains, Run.first, [KILL], ({-KILL}, "")),
    "worker": ("training", [], Run.trains, Run.worker, [KILL], ({2}, f"{WORKER}2")),
    "only worker": ("training", ["num_workers=1"], Run.trains, Run.worker, [KILL], ({2}, f"{WORKER}1")),
    "two ranks, SIGTERM": ("training", TWO, Run.trains, Run.everyone, [TERM], GOES_ON),
    "first rank": ("training", TWO, Run.trains, Run.first, [KILL], ({-KILL}, LOST)),
    "second rank": ("training", TWO, Run.trains, Run.second, [KILL], DEAD),
    "test, SIGTERM": ("testing", [], Run.predicts, Run.first, [TERM], NOTHING_WRITTEN),
    "test of two ranks, SIGINT": ("testing", TWO, Run.predicts, Run.first, [INT], NOTHING_WRITTEN),
    "test, second rank": ("testing", TWO, Run.predicts, Run.second, [KILL], DEAD),
}


@pytest.fixture
def training(tmp_path) -> list[str]:
    return settings(make_small_world(tmp_path, num_videos=12, questions_each=4), "num_workers=2", "max_epoch=500")


@pytest.fixture(scope="module")
def testing(tmp_path_factory) -> list[str]:
    world = make_small_world(tmp_path_factory.mktemp("large"), num_videos=400, questions_each=10)
    checkpoint = train(world, "it", "max_steps=1", "max_epoch=None", "warmup_steps=0") / "checkpoints/last.ckpt"
    return settings(world, "num_workers=2", "test_only=True", f"load_path={checkpoint}")


@pytest.mark.parametrize(("kind", "words", "reached", "whom", "signals", "end"), ENDINGS.values(), ids=ENDINGS)
def test_ending(request, tmp_path, kind, words, reached, whom, signals, end):
    run = Run([*request.getfixturevalue(kind), f"log_dir={tmp_path / 'result'}", *words], tmp_path / "output")
    while not reached(run) and run.process.poll() is None:
        time.sleep(0.02)
    for number in signals:
        os.kill(whom(run), number)
        time.sleep(0.05)
    run.check(*end)
    assert not list((tmp_path / "result").glob("*.json"))
