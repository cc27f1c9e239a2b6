import os
import signal

import cv2
import numpy as np
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


class Signalled(Numbers):
    def read(self, draws):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            os.kill(os.getpid(), number)
        return super().read(draws)


class Settings:
    def read(self, draws):
        return [torch.get_num_threads(), max(1, cv2.getNumThreads()), os.environ.get("TOKENIZERS_PARALLELISM")]


def loader(dataset=None, size=4, **options) -> ResumableLoader:
    return ResumableLoader(dataset or Numbers(), list, TrainBatchSampler(np.arange(20), size), **options)


def test_same_order_for_any_number_and_kind_of_workers():
    alone = list(loader())
    assert sorted(question for batch in alone for question, _ in batch) == list(range(20))
    for dataset, options in ((None, {}), (None, {"multiprocessing_context": "spawn"}), (Signalled(), {})):
        assert list(loader(dataset, num_workers=2, **options)) == alone
    assert {tuple(batch) for batch in loader(Settings(), num_workers=1)} == {(1, 1, "false")}


@pytest.mark.parametrize("workers", [0, 2])
def test_position_is_asked_for_at_the_first_batch(workers):
    position = [0, 0]
    batches = loader(num_workers=workers, position=lambda: tuple(position))
    iterator = iter(batches)
    position[:] = 3, 2
    assert list(iterator) == list(loader(position=lambda: (3, 0)))[2:]
    position[:] = 4, 0
    assert {epoch for batch in batches for _, epoch in batch} == {4}


def test_bad_input_arrives_as_one_line_and_a_dead_worker_ends_the_run():
    with pytest.raises(InputError, match=r"^frames/v_13/0001.png is not a whole image$"):
        list(loader(Numbers(13), num_workers=2))
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(loader(Numbers(17), num_workers=2))


def test_position_that_means_other_batches_now():
    state = loader().state_dict()
    resumed = loader(size=5, position=lambda: (1, 2))
    resumed.load_state_dict(state)
    with pytest.raises(InputError, match=r"\(per_gpu_batchsize 4 -> 5\)"):
        next(iter(resumed))
    at_start = loader(size=5)
    at_start.load_state_dict(state)
    assert len(list(at_start)) == 4
