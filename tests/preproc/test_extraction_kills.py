"""Both extractions are killed at random moments and started again: the result is that of an undisturbed run."""

import random
import re
import signal
import subprocess
from functools import partial
from pathlib import Path

import cv2
import pytest

from tests.datasets.video.video_files import make_cut_video, make_video
from tests.kit import processes
from tests.kit.kill_at import sitecustomize

KILLS = [2, pytest.param(20, marks=pytest.mark.slow)]
MOST_OPERATIONS = 60  # on files, from a start to a kill


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for i in range(12):
        make_video(folder / f"{i}.mp4", 40 + 25 * i, size="320x240")
    make_cut_video(folder / "5.mp4", 200, size="320x240")
    return folder


def start(script: str, *arguments, **environment: str) -> subprocess.Popen:
    return processes.start(f"preproc/{script}", *map(str, arguments), PYTHONUNBUFFERED="1", **environment)


def kill_at_random_moments(start_run, folder: Path, check, kills: int) -> list[str]:
    """Starts a run again and again, which is killed at a random file operation, and at last lets it end.

    Args:
        start_run: starts the process, with more variables of the environment.
        folder: whose operations count; and those of what lies beside it under a longer name.
        check: called before each start.

    Returns:
        what the runs printed.
    """
    draw = random.Random(0)
    printed = []
    for _ in range(kills):
        check()
        process = start_run(**sitecustomize.variables(draw.randint(1, MOST_OPERATIONS), folder, group=False))
        printed.append(process.communicate()[0])
        assert process.returncode in (-signal.SIGKILL, 0)
    check()
    process = start_run()
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

    kill_at_random_moments(partial(start, "extract_frames.py", videos, out, *options), out, check, kills)
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

    printed = kill_at_random_moments(partial(start, "extract_features.py", videos, out, *options), out, check, kills)
    check()
    assert out.read_bytes() == (tmp_path / "undisturbed.h5").read_bytes()
    assert "used, but damaged" in Path(f"{out}.failed.csv").read_text()
    assert Path(f"{out}.failed.csv").read_bytes() == (tmp_path / "undisturbed.h5.failed.csv").read_bytes()
    assert not parts.exists() and not list(tmp_path.glob(".*"))
    for before, text in zip(todo, printed, strict=False):
        announced = re.search(r"(\d+) videos to do", text)
        if announced:
            assert int(announced[1]) == before
