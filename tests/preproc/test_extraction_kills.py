"""Both extractions are killed at random moments and started again: the result is that of an undisturbed run."""

import random
import re
import signal
from pathlib import Path

import pytest

from tests.datasets.video.video_files import make_cut_video, make_video
from tests.kit.kill_at import sitecustomize
from tests.kit.processes import start

from .conftest import contents

MOST_OPERATIONS = 60  # on files, from a start to a kill
TOY = "--arch toy --random-start 0 --size 32 --decoders 2"


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for i in range(12):
        make_video(folder / f"{i}.mp4", 40 + 25 * i, size="320x240")
    make_cut_video(folder / "5.mp4", 200, size="320x240")
    return folder


def files_of(out: Path) -> dict[str, bytes]:
    return contents(out) if out.is_dir() else {"": out.read_bytes()}


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("script", "options"), [("frames", "--jobs 2"), ("features", TOY)])
def test_killed_and_started_again(videos, tmp_path, kills, script, options):
    def run(out: Path, **environment: str) -> tuple[int, str]:
        words = ("--dataset", "agqa", *options.split())
        process = start(f"preproc/extract_{script}.py", videos, out, *words, PYTHONUNBUFFERED="1", **environment)
        said = process.communicate()[0]
        return process.returncode, said

    undisturbed, out, parts = tmp_path / "undisturbed", tmp_path / "out", tmp_path / "out.parts"
    assert run(undisturbed)[0] == 0
    draw, seen, left = random.Random(0), {}, 12

    def look() -> None:
        """What is there of a video must be whole, and stay as it was."""
        nonlocal left
        there = list(out.glob("[!.]*") if out.is_dir() else parts.glob("[!.]*.npy"))
        for path in there:
            stamp = (path.stat().st_ino, path.stat().st_mtime_ns)
            assert seen.setdefault(path.name, stamp) == stamp
            if out.is_dir():
                assert contents(path) == contents(undisturbed / path.name)
        left = 0 if out.is_file() else 12 - len(there)

    for kill in range(kills + 1):
        at = sitecustomize.variables(draw.randint(1, MOST_OPERATIONS), out, group=False) if kill < kills else {}
        code, said = run(out, **at)
        assert code in ((-signal.SIGKILL, 0) if at else (0,))
        if announced := re.search(r"(\d+) videos to do", said):
            assert int(announced[1]) == left
        look()
    assert left == 0 and files_of(out) == files_of(undisturbed)
    listed = Path(f"{out}.failed.csv").read_text()
    assert "used, but damaged" in listed and listed == Path(f"{undisturbed}.failed.csv").read_text()
    assert out.is_dir() or not [*tmp_path.glob("out.parts"), *tmp_path.glob(".*")]
