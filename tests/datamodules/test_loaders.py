"""Loading in processes: the order, the start amid an epoch, and how errors arrive."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import torch

from datamodules.loaders import ResumableLoader
from datamodules.samplers import TrainBatchSampler
from datasets.errors import InputError


class Numbers:
    """Samples are (question, epoch); question 13 is damaged, question 17 kills its worker."""

    def __init__(self, *traps):
        self.traps = traps

    def read(self, draws):
        for draw in draws:
            if draw.index in self.traps:
                if draw.index == 17:
                    os.kill(os.getpid(), signal.SIGKILL)
                raise InputError("frames/v_13/0001.png is not a whole image")
        return [(draw.index, draw.epoch) for draw in draws]


class Signalled:
    """Samples are read while the whole job is told to stop."""

    def read(self, draws):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            os.kill(os.getpid(), number)
        return [(draw.index, draw.epoch) for draw in draws]


class Settings:
    """Samples tell how the process that reads is set up."""

    def read(self, draws):
        return [torch.get_num_threads(), cv2.getNumThreads(), os.environ.get("TOKENIZERS_PARALLELISM")]


def loader(dataset=None, size=4, **options) -> ResumableLoader:
    return ResumableLoader(dataset or Numbers(), list, TrainBatchSampler(torch.arange(20).numpy(), size), **options)


def test_same_order_for_any_number_of_workers():
    orders = [list(loader(num_workers=workers)) for workers in (0, 1, 2)]
    assert orders[0] == orders[1] == orders[2]
    assert sorted(question for batch in orders[0] for question, _ in batch) == list(range(20))


LEFT_RUNNING = f"""
import sys, torch
from datamodules.loaders import ResumableLoader
from datamodules.samplers import TrainBatchSampler
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_loaders import Numbers
kept = iter(ResumableLoader(Numbers(), list, TrainBatchSampler(torch.arange(20).numpy(), 4), num_workers=2))
next(kept)
torch.kept = kept  # a module lives until the very end, as what an error's traceback refers to may
"""


def test_a_process_ends_although_its_workers_still_wait_for_requests(tmp_path):
    script = tmp_path / "left_running.py"
    script.write_text(LEFT_RUNNING)
    run = subprocess.run(
        [sys.executable, script], env=os.environ | {"PYTHONPATH": str(Path.cwd())}, capture_output=True, timeout=100
    )
    assert (run.returncode, run.stderr) == (0, b"")


def test_more_workers_than_processors(recwarn, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert list(loader(num_workers=3)) == list(loader())
    assert not [warning for warning in recwarn if "DataLoader" in str(warning.message)]


def test_spawned_workers():
    assert list(loader(num_workers=1, multiprocessing_context="spawn")) == list(loader())


@pytest.mark.parametrize("workers", [0, 2])
def test_position_is_asked_for_at_the_first_batch(workers):
    position = [0, 0]
    batches = loader(num_workers=workers, position=lambda: tuple(position))
    iterator = iter(batches)
    position[:] = 3, 2
    assert list(iterator) == list(loader(position=lambda: (3, 0)))[2:]
    position[:] = 4, 0
    assert {epoch for batch in batches for _, epoch in batch} == {4}
    assert len(batches) == 5


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_input_arrives_as_one_line(workers):
    with pytest.raises(InputError) as caught:
        list(loader(Numbers(13), num_workers=workers))
    assert str(caught.value) == "frames/v_13/0001.png is not a whole image"


def test_dead_worker_ends_the_run():
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(loader(Numbers(17), num_workers=2))


def test_workers_start_no_threads():
    for batch in loader(Settings(), num_workers=1):
        assert batch[0] == 1
        assert batch[1] <= 1
        assert batch[2] == "false"


def test_signals_are_for_the_process_that_trains():
    assert list(loader(Signalled(), num_workers=2)) == list(loader())


def run_until_killed(queue):
    batches = iter(loader(num_workers=2))
    next(batches)
    queue.put([child.pid for child in multiprocessing.active_children()])
    time.sleep(600)


def test_workers_end_with_their_parent():
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    parent = context.Process(target=run_until_killed, args=(queue,))
    parent.start()
    workers = queue.get(timeout=60)
    assert len(workers) == 2
    os.kill(parent.pid, signal.SIGKILL)
    parent.join()
    deadline = time.monotonic() + 60
    try:
        while any(running(pid) for pid in workers):
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        for pid in filter(running, workers):
            os.kill(pid, signal.SIGKILL)


def running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_position_that_means_other_batches_now():
    state = loader().state_dict()
    resumed = loader(size=5, position=lambda: (1, 2))
    resumed.load_state_dict(state)
    with pytest.raises(
        InputError, match=r"cannot resume in the middle of an epoch .*\(per_gpu_batchsize 4 -> 5\): restore what was"
    ):
        next(iter(resumed))
    at_start = loader(size=5)
    at_start.load_state_dict(state)
    assert len(list(at_start)) == 4
