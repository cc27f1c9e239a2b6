"""Checkpoints in memory, for tests."""

from dataclasses import replace
from pathlib import Path

import torch

from modules.checkpoints.loading import load_weights
from modules.checkpoints.reader import CheckpointFile
from tests.modules.models.test_dest import SMALL

TRM_SIZES = replace(SMALL, head_width=12)


def file_of(weights, name="x.ckpt") -> CheckpointFile:
    return CheckpointFile(Path(name), "zip", "", dict(weights))


def load(network, weights, needed=None, **options):
    return load_weights(network, file_of(weights), needed, verbose=False, **options)


def assert_equal(network, weights, starts=("",)):
    compared = 0
    for name, weight in network.state_dict().items():
        if name.startswith(tuple(starts)):
            assert torch.equal(weight, weights[name]), name
            compared += 1
    assert compared
