"""What tests of every folder share."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests.kit.toy_world import make_toy_checkpoint, make_toy_world


@pytest.fixture
def heeds_ctrl_c():
    """For tests that send SIGINT to what they start: a job in the background of a script is started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def made_once(tmp_path_factory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first worker of pytest-xdist to ask for it fills, for all of them."""
    temporary = tmp_path_factory.getbasetemp()
    root = temporary.parent if "PYTEST_XDIST_WORKER" in os.environ else temporary
    folder, done = root / name, root / f"{name}.done"
    with FileLock(root / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def toy_world(tmp_path_factory) -> Path:
    """A tiny toy world, as scripts/demo.sh makes it: ``raw/``, and ``data/`` with frames and clip features.

    ``data/anetqa`` is whole; of ``data/vatex`` and ``data/tgif`` there are captions and features. 4 videos per split.
    """
    return made_once(tmp_path_factory, "toy_world", make_toy_world)


@pytest.fixture(scope="session")
def toy_checkpoint(toy_world, tmp_path_factory) -> Path:
    """Of both streams, after three steps on the toy world: its answers differ from video to video."""
    folder = made_once(tmp_path_factory, "toy_run", lambda folder: make_toy_checkpoint(toy_world, folder))
    return folder / "toy_seed0" / "version_0" / "checkpoints" / "last.ckpt"


@pytest.fixture(scope="session")
def toy_video(toy_world) -> Path:
    """The first of the toy world's test split."""
    return min((toy_world / "raw" / "anetqa" / "videos").glob("*_test_*.mp4"))


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, as Playwright drives it; skips the test where none is installed."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on the path (Debian and Ubuntu: apt install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--disable-gpu", "--disable-quic"])
        yield chromium
        chromium.close()


@pytest.fixture
def program(tmp_path) -> Callable[..., Path]:
    """Makes a program of a shell script."""

    def make(text: str, place: str = "python") -> Path:
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
        return path

    return make
