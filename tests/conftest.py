"""What tests of every folder share."""

import shutil
import signal
from pathlib import Path

import pytest


@pytest.fixture
def heeds_ctrl_c():
    """For tests that send SIGINT to what they start: a job in the background of a script is started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def toy_world(tmp_path_factory) -> Path:
    """A tiny toy world, as scripts/demo.sh makes it: ``raw/``, and ``data/`` with frames and clip features.

    ``data/anetqa`` is whole; of ``data/vatex`` and ``data/tgif`` there are captions and features. Four videos a split.
    """
    # Imported here: most test runs have no need of it.
    from preproc import extract_features, preproc_anetqa, preproc_tgif, preproc_vatex
    from preproc.extract_frames import extract_frames
    from preproc.make_toy import make_toy

    folder = tmp_path_factory.mktemp("toy_world")
    raw, data = folder / "raw", folder / "data"
    make_toy(raw, scale=1e-3, size=64)
    for name, step in (("anetqa", preproc_anetqa), ("vatex", preproc_vatex), ("tgif", preproc_tgif)):
        step.preprocess(raw / name, data / name)
        windows = ["--clip-len", "8", "--frame-interval", "1", "--window-interval", "8", "--size", "64"]
        arguments = [str(raw / name / "videos"), str(data / name / f"{name}.h5"), "--dataset", name]
        assert extract_features.main([*arguments, "--arch", "toy", "--random-start", "2", *windows]) == 0
    extract_frames(raw / "anetqa" / "videos", data / "anetqa" / "frames", "anetqa")
    return folder


@pytest.fixture(scope="session")
def toy_checkpoint(toy_world, tmp_path_factory) -> Path:
    """Of both streams, after three steps on the toy world: its answers differ from video to video."""
    import run  # noqa: F401  (brings the commands)
    from config import run_command_line
    from tests.kit.toy_run import toy_settings

    folder = tmp_path_factory.mktemp("toy_run")
    words = toy_settings(toy_world, folder)
    assert run_command_line([*words, "exp_name=toy", "max_steps=3", "max_epoch=None", "warmup_steps=1"]) == 0
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
