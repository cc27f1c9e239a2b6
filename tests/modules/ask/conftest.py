"""A network that has learnt a little of the toy world, to ask it about the toy world's videos."""

from pathlib import Path

import pytest

import run  # noqa: F401  (brings the commands)
from config import run_command_line


def toy_settings(toy_world: Path, folder: Path, recipe: str = "task_finetune_anetqa") -> list[str]:
    """The words of a run on the toy world."""
    return [
        *("with", recipe, "toy", f"data_root={toy_world / 'data' / 'anetqa'}", f"log_dir={folder}"),
        f"tokenizer={toy_world / 'raw' / 'tokenizer'}",
    ]


@pytest.fixture(scope="session")
def toy_checkpoint(toy_world, tmp_path_factory) -> Path:
    """Of both streams, after three steps: its answers differ from video to video."""
    folder = tmp_path_factory.mktemp("toy_run")
    words = toy_settings(toy_world, folder)
    assert run_command_line([*words, "exp_name=toy", "max_steps=3", "max_epoch=None", "warmup_steps=1"]) == 0
    return folder / "toy_seed0" / "version_0" / "checkpoints" / "last.ckpt"


@pytest.fixture(scope="session")
def toy_video(toy_world) -> Path:
    """The first of the test split."""
    return min((toy_world / "raw" / "anetqa" / "videos").glob("*_test_*.mp4"))
