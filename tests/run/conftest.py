"""A small world and a finished run on it, for the tests of a file."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.kit.runs import say, train
from tests.kit.small_world import make_small_world


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return make_small_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def trained(world) -> Path:
    """The checkpoints of an uninterrupted run."""
    return train(world, "whole") / "checkpoints"


@pytest.fixture
def said(capsys) -> Callable[..., str]:
    return partial(say, capsys)


def as_dataset(world: Path, name: str) -> Path:
    """A folder with the world's videos as those of another dataset, without questions."""
    data = world / name
    (data / "frames").mkdir(parents=True)
    (data / f"{name}.h5").symlink_to(world / "data/anetqa.h5")
    for frames in (world / "data/frames").iterdir():
        (data / "frames" / frames.name.removeprefix("v_")).symlink_to(frames)
    return data
