"""SIGKILL at random file operations: a training run that is resumed ends where the uninterrupted one does."""

import os
import random
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

import run  # noqa: F401  (brings the commands)
from config import run_command_line
from tests.kit import captioned_world
from tests.kit.kill_at import sitecustomize
from tests.kit.paths import ROOT
from tests.kit.runs import assert_close_runs, assert_same_run
from tests.kit.small_world import make_small_world, settings

pytestmark = pytest.mark.slow

KILLS = 20
MOST_OPERATIONS = 40  # on files, from a start to a kill; half as many on average, 20 times: less than the runs have


class Life:
    """A training run in a process of its own (and its children), from its start to a kill or its end.

    Args:
        arguments: of run.py.
        log: file for what it says.
        ranks: processes to fork, as torchrun would start them; None: one run.py, which starts what it needs itself.
        kill_at: the file operation at which all of them are killed, and the folder whose operations count.
    """

    def __init__(self, arguments: list[str], log: Path, ranks: int | None, kill_at: tuple[int, Path] | None = None):
        self.log = log
        with log.open("wb") as file:
            if ranks is None:
                self.pid = self._start(arguments, file, kill_at)
            else:
                self.pid = self._fork(arguments, file.fileno(), ranks, kill_at)

    def _fork(self, arguments: list[str], output: int, ranks: int, kill_at: tuple[int, Path] | None) -> int:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.setsid()
                os.dup2(output, 1)
                os.dup2(output, 2)
                sys.stdout = sys.stderr = open(1, "w", closefd=False)  # noqa: SIM115
                if kill_at is not None:
                    sitecustomize.kill_at(kill_at[0], str(kill_at[1]), group=True)
                code = run_command_line(arguments) if ranks == 1 else _fork_ranks(arguments, ranks)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(code)
        return pid

    def _start(self, arguments: list[str], output, kill_at: tuple[int, Path] | None) -> int:
        return subprocess.Popen(
            [sys.executable, "run.py", *arguments],
            cwd=ROOT,
            env=os.environ | ({} if kill_at is None else sitecustomize.variables(*kill_at, group=True)),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ).pid

    def was_killed(self) -> bool:
        """Waits for the end, which is that of the kill or in order."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        assert code in (0, -signal.SIGKILL), self.log.read_text()
        return code != 0


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


def run_with_kills(arguments: list[str], folder: Path, kills: int, seed: int, ranks: int | None) -> None:
    """Starts the run, has it killed with all its processes at a random file operation, resumes it, and so on."""
    moments = random.Random(seed)
    for _ in range(kills):
        resume = ["resume_from=last"] if list(folder.rglob("*.ckpt")) else []
        kill_at = (moments.randint(1, MOST_OPERATIONS), folder)
        assert Life([*arguments, *resume], folder.with_suffix(".log"), ranks, kill_at).was_killed()
    assert not Life([*arguments, "resume_from=last"], folder.with_suffix(".log"), ranks).was_killed()


def compare(result: Path, predict: list[str], exact: bool) -> None:
    """The runs "killed" and "whole" have the same weights, state of training and predictions."""
    # A run that was killed before its first checkpoint leaves a folder without any.
    (last,), (expected,) = (list((result / f"{name}_seed0").rglob("last.ckpt")) for name in ("killed", "whole"))
    if exact:
        assert_same_run(last, expected)
    assert_close_runs(last, expected, rtol=1e-6)
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
    assert not Life([*arguments, "exp_name=whole"], tmp_path / "whole.log", ranks).was_killed()
    folder = world / "result/killed_seed0"
    run_with_kills([*arguments, "exp_name=killed"], folder, kills, seed=processes, ranks=ranks)
    compare(world / "result", alone, exact=processes == 1)


@pytest.mark.parametrize("ranks", [1, 2])
def test_pre_training(tmp_path, ranks):
    world = captioned_world.make_captioned_world(tmp_path)
    alone = captioned_world.settings(world, "max_steps=200", "val_check_interval=10", "checkpoint_steps=2")
    arguments = [*alone, f"num_gpus={ranks}"]
    (world / "result").mkdir()
    assert not Life([*arguments, "exp_name=whole"], tmp_path / "whole.log", ranks).was_killed()
    folder = world / "result/killed_seed0"
    run_with_kills([*arguments, "exp_name=killed"], folder, KILLS, seed=0, ranks=ranks)
    compare(world / "result", alone, exact=ranks == 1)
