"""Both extractions are killed at random moments and started again: the result is that of an undisturbed run."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

from tests.datasets.video.video_files import make_cut_video, make_video

ROOT = Path(__file__).parents[2]
KILLS = [2, pytest.param(20, marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for i in range(12):
        make_video(folder / f"{i}.mp4", 40 + 25 * i, size="320x240")
    make_cut_video(folder / "5.mp4", 200, size="320x240")
    return folder


def start(script: str, *arguments) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "preproc" / script), *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        text=True,
        errors="replace",
    )


def kill_at_random_moments(run, started, finished, kills: int) -> list[str]:
    """Starts a run again and again, kills it some time after its work has begun, and at last lets it end.

    Args:
        run: starts the process.
        started: says whether its work has begun.
        finished: called before each start.

    Returns:
        what the runs printed.
    """
    draw = random.Random(0)
    printed = []
    for _ in range(kills):
        finished()
        process = run()
        while not started() and process.poll() is None:
            time.sleep(0.002)
        time.sleep(draw.expovariate(1 / 0.15))
        process.send_signal(signal.SIGKILL)
        printed.append(process.communicate()[0])
    finished()
    process = run()
    printed.append(process.communicate()[0])
    assert process.returncode == 0
    return printed


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kills", KILLS)
def test_frames(videos, tmp_path, kills):
    options = ("--dataset", "agqa", "--jobs", 2)
    assert start("extract_frames.py", videos, tmp_path / "undisturbed", *options).wait() == 0
    out = tmp_path / "frames"
    seen: dict[str, tuple] = {}

    def complete() -> dict[str, tuple]:
        """The directories that are there: each must be whole, and stay as it was."""
        found = {}
        for folder in out.glob("[!.]*"):
            found[folder.name] = (folder.stat().st_ino, folder.stat().st_mtime_ns)
        return found

    def check() -> None:
        for name, stamp in complete().items():
            assert seen.setdefault(name, stamp) == stamp
            assert contents(out / name) == contents(tmp_path / "undisturbed" / name)

    def started() -> bool:
        return len(complete()) > len(seen) or any(out.glob(".*.*/*"))

    kill_at_random_moments(lambda: start("extract_frames.py", videos, out, *options), started, check, kills)
    check()
    assert contents(out) == contents(tmp_path / "undisturbed")
    assert "used, but damaged" in Path(f"{out}.failed.csv").read_text()
    assert Path(f"{out}.failed.csv").read_bytes() == (tmp_path / "undisturbed.failed.csv").read_bytes()
    assert len(seen) == 12
    assert all(cv2.imread(str(path)) is not None for path in out.rglob("*.png"))


@pytest.mark.parametrize("kills", KILLS)
def test_features(videos, tmp_path, kills):
    options = ("--dataset", "agqa", "--arch", "toy", "--random-start", 0, "--size", 32, "--decoders", 2)
    assert start("extract_features.py", videos, tmp_path / "undisturbed.h5", *options).wait() == 0
    out = tmp_path / "a.h5"
    parts = tmp_path / "a.h5.parts"
    seen: dict[str, tuple] = {}
    todo: list[int] = []  # videos without a part, before each run

    def complete() -> dict[str, tuple]:
        return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in parts.glob("[!.]*.npy")}

    def check() -> None:
        if out.exists():
            assert out.read_bytes() == (tmp_path / "undisturbed.h5").read_bytes()
            todo.append(0)
            return
        for name, stamp in complete().items():
            assert seen.setdefault(name, stamp) == stamp
        todo.append(12 - len(complete()))

    def started() -> bool:
        return out.exists() or len(complete()) > len(seen)

    printed = kill_at_random_moments(lambda: start("extract_features.py", videos, out, *options), started, check, kills)
    check()
    assert out.read_bytes() == (tmp_path / "undisturbed.h5").read_bytes()
    assert "used, but damaged" in Path(f"{out}.failed.csv").read_text()
    assert Path(f"{out}.failed.csv").read_bytes() == (tmp_path / "undisturbed.h5.failed.csv").read_bytes()
    assert not parts.exists() and not list(tmp_path.glob(".*"))
    for before, text in zip(todo, printed, strict=False):
        announced = re.search(r"(\d+) videos to do", text)
        if announced:
            assert int(announced[1]) == before
