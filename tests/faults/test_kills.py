"""SIGKILL at random moments: a training run that is resumed ends where the uninterrupted one does."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path

import pytest
import torch

import run
from config import run_command_line
from tests import test_run_trm
from tests.captioned_world import WORDS, make_captioned_world
from tests.small_world import make_small_world, settings
from tests.test_run import assert_same_run

pytestmark = pytest.mark.slow

ROOT = Path(run.__file__).parent
KILLS = 20


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """So that processes can be forked from this one, which has loaded all libraries."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Life:
    """A training run in a process of its own (and its children), from its start to a kill or its end.

    Args:
        arguments: of run.py.
        log: file for what it says.
        ranks: processes to fork, as torchrun would start them; None: one run.py, which starts what it needs itself.
    """

    def __init__(self, arguments: list[str], log: Path, ranks: int | None):
        self.log = log
        with log.open("wb") as file:
            self.pid = self._start(arguments, file) if ranks is None else self._fork(arguments, file.fileno(), ranks)

    def _fork(self, arguments: list[str], output: int, ranks: int) -> int:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.setsid()
                os.dup2(output, 1)
                os.dup2(output, 2)
                sys.stdout = sys.stderr = open(1, "w", closefd=False)  # noqa: SIM115
                code = run_command_line(arguments) if ranks == 1 else _fork_ranks(arguments, ranks)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(code)
        return pid

    def _start(self, arguments: list[str], output) -> int:
        return subprocess.Popen(
            [sys.executable, "run.py", *arguments],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ).pid

    def wait_for(self, line: str) -> None:
        while line not in self.log.read_text() and not self.wait(0.01):
            pass

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within that time; if so, in order."""
        deadline = time.monotonic() + seconds
        while True:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                assert os.waitstatus_to_exitcode(status) == 0, self.log.read_text()
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)

    def kill(self) -> None:
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def _fork_ranks(arguments: list[str], ranks: int) -> int:
    """Runs as many processes under torchrun's variables; returns the highest exit code."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    os.environ |= {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks), "GROUP_RANK": "0"}
    children = []
    for rank in range(ranks):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
                code = run_command_line(arguments)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(code)
        children.append(child)
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


def run_with_kills(arguments: list[str], folder: Path, kills: int, seed: int, ranks: int | None) -> int:
    """Starts the run, kills it with all its processes after a random time, resumes it, and so on; counts the kills."""
    moments = random.Random(seed)
    for killed in range(kills):
        resume = ["resume_from=last"] if list(folder.rglob("*.ckpt")) else []
        life = Life([*arguments, *resume], folder.with_suffix(".log"), ranks)
        life.wait_for("logs and checkpoints")
        if life.wait(moments.uniform(0.0, 1.0)):
            return killed
        life.kill()
    assert Life([*arguments, "resume_from=last"], folder.with_suffix(".log"), ranks).wait(900)
    return kills


def compare(result: Path, predict: list[str], exact: bool) -> None:
    """The runs "killed" and "whole" have the same weights, state of training and predictions."""
    # A run that was killed before its first checkpoint leaves a folder without any.
    (last,), (expected,) = (list((result / f"{name}_seed0").rglob("last.ckpt")) for name in ("killed", "whole"))
    if exact:
        assert_same_run(last, expected)
    one, other = (torch.load(path, weights_only=True)["state_dict"] for path in (last, expected))
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-6, atol=1e-6)
    for path in (last, expected):
        assert run_command_line([*predict, "test_only=True", f"load_path={path}"]) == 0
    killed, whole = sorted(result.glob("*_by_*_last.json"))
    assert killed.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(("ranks", "kills"), [(1, KILLS), (2, KILLS), (None, 4)])
def test_fine_tuning(tmp_path, ranks, kills):
    world = make_small_world(tmp_path / "world", num_videos=12, questions_each=10)
    alone = settings(world, "max_epoch=8", "val_check_interval=0.5", "checkpoint_steps=2")
    processes = ranks or 2
    arguments = [*alone, f"num_gpus={processes}", f"per_gpu_batchsize={4 // processes}"]
    (world / "result").mkdir()
    assert Life([*arguments, "exp_name=whole"], tmp_path / "whole.log", ranks).wait(900)
    folder = world / "result/killed_seed0"
    assert run_with_kills([*arguments, "exp_name=killed"], folder, kills, seed=processes, ranks=ranks) == kills
    compare(world / "result", alone, exact=processes == 1)


@pytest.mark.parametrize("ranks", [1, 2])
def test_pre_training(tmp_path, ranks):
    world = make_captioned_world(tmp_path)
    (world / "tokenizer").mkdir()
    (world / "tokenizer" / "vocab.txt").write_text("\n".join(WORDS))
    alone = test_run_trm.settings(world, "max_steps=200", "val_check_interval=10", "checkpoint_steps=2")
    arguments = [*alone, f"num_gpus={ranks}"]
    (world / "result").mkdir()
    assert Life([*arguments, "exp_name=whole"], tmp_path / "whole.log", ranks).wait(900)
    folder = world / "result/killed_seed0"
    assert run_with_kills([*arguments, "exp_name=killed"], folder, KILLS, seed=0, ranks=ranks) == KILLS
    compare(world / "result", alone, exact=ranks == 1)
