"""A small world and a finished run on it, for the tests of a file."""

from pathlib import Path

import pytest

from tests.kit.runs import train
from tests.kit.small_world import make_small_world


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return make_small_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def trained(world) -> Path:
    """The checkpoints of an uninterrupted run."""
    return train(world, "whole") / "checkpoints"
