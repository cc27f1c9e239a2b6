"""SIGKILL at random file operations: a training run that is resumed ends where the uninterrupted one does."""

import multiprocessing
import os
import random
import signal
import socket
import sys
from pathlib import Path

import pytest

from config import run_command_line
from tests.kit import captioned_world, small_world
from tests.kit.kill_at import sitecustomize
from tests.kit.runs import assert_close_runs, assert_same_run

FORK = multiprocessing.get_context("fork")  # saves the imports
KILLS = 20
MOST_OPERATIONS = 40  # on files, from a start to a kill; half as many on average, 20 times: less than the runs have


def was_killed(arguments: list[str], log: Path, ranks: int, *kill_at) -> bool:
    """Runs to the end, which must be in order, or until all ranks are killed; several start as torchrun starts them."""

    def run_rank(rank: int) -> None:
        if ranks > 1:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        sys.exit(run_command_line(arguments))

    def run_all() -> None:
        os.setsid()
        sys.stdout = sys.stderr = log.open("w")
        if kill_at:
            sitecustomize.kill_at(*kill_at, group=True)
        if ranks > 1:
            with socket.create_server(("127.0.0.1", 0)) as server:
                os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(server.getsockname()[1])}
            os.environ |= {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks), "GROUP_RANK": "0"}
            os.environ |= {"TORCHELASTIC_RUN_ID": "test"}
        for rank in range(1, ranks):
            FORK.Process(target=run_rank, args=(rank,)).start()
        run_rank(0)

    process = FORK.Process(target=run_all)
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), log.read_text()
    return process.exitcode != 0


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("kind", ["fine-tuning", "pre-training"])
def test_killed_again_and_again(tmp_path, kind, ranks):
    if kind == "fine-tuning":
        small_world.make_small_world(tmp_path, num_videos=12, questions_each=10)
        alone = small_world.settings(tmp_path, "max_epoch=8", "val_check_interval=0.5", "checkpoint_steps=2")
    else:
        captioned_world.make_captioned_world(tmp_path)
        alone = captioned_world.settings(tmp_path, "max_steps=200", "val_check_interval=10", "checkpoint_steps=2")
    result, log, moments = tmp_path / "result", tmp_path / "log", random.Random(0)
    arguments = [*alone, f"num_gpus={ranks}", f"per_gpu_batchsize={4 // ranks}"]
    assert not was_killed([*arguments, "exp_name=whole"], log, ranks)
    for number in range(KILLS + 1):
        resume = ["resume_from=last"] if list(result.glob("killed_seed0/**/*.ckpt")) else []
        kill_at = (moments.randint(1, MOST_OPERATIONS), str(result / "killed_seed0")) if number < KILLS else ()
        assert was_killed([*arguments, "exp_name=killed", *resume], log, ranks, *kill_at) == bool(kill_at)
    # A run that was killed before its first checkpoint leaves a folder without any.
    (last,), (expected,) = (list(result.glob(f"{name}_seed0/**/last.ckpt")) for name in ("killed", "whole"))
    if ranks == 1:
        assert_same_run(last, expected)
    assert_close_runs(last, expected, rtol=1e-6)
