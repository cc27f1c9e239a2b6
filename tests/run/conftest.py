"""A small world and a finished run on it, for the tests of a file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from config import run_command_line
from tests.kit.runs import train
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
    """Runs a command line and returns what it says: the error, of one line, where it must end with code 2."""

    def run(words: list[str], code: int = 0) -> str:
        capsys.readouterr()
        assert run_command_line(words) == code
        output, error = capsys.readouterr()
        assert code == 0 or (error.startswith("error: ") and error.count("\n") == 1), error
        return error if code else output

    return run
