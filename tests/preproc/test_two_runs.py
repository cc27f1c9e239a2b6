"""The same preprocessing started twice, killed and started again; file systems that know no locks."""

import random
import re
import signal
from pathlib import Path

import pytest

from preproc import extract_features, extract_frames
from tests.datasets.video.video_files import make_cut_video, make_video
from tests.kit.kill_at import sitecustomize
from tests.kit.other_process import writer_elsewhere
from tests.kit.processes import start

from .conftest import contents

TOY = "--dataset agqa --arch toy --random-start 0 --size 32 --decoders 2"


@pytest.fixture
def videos(tmp_path) -> Path:
    for name, frames in (("a", 400), ("b", 300), ("c", 200)):
        make_video(tmp_path / "videos" / f"{name}.mp4", frames)
    return tmp_path / "videos"


@pytest.mark.parametrize(
    ("script", "words", "out"), [(extract_frames, "--dataset agqa", "a"), (extract_features, TOY, "a.h5")]
)
def test_twice_at_once(videos, tmp_path, refused, script, words, out):
    """Other shards are no hindrance."""
    command = (videos, tmp_path / out, *words.split())
    lock = tmp_path / "a" / ".extract_frames.lock" if out == "a" else tmp_path / ".a.h5.lock"
    lock.parent.mkdir(exist_ok=True)
    with writer_elsewhere(lock) as process:
        assert f"{out} is being written by process {process.pid} on " in refused(script.main, *command)
    if out == "a.h5":
        with writer_elsewhere(lock, 1):
            assert script.main([*map(str, command), "--shard", "0/2"]) == 0
            assert "is being written" in refused(script.main, *command, "--shard", "1/2")


MOST_OPERATIONS = 60  # on files, from a start to a kill


@pytest.fixture(scope="module")
def many_videos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for i in range(12):
        make_video(folder / f"{i}.mp4", 40 + 25 * i, size="320x240")
    make_cut_video(folder / "5.mp4", 200, size="320x240")
    return folder


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("script", "options"), [("frames", "--dataset agqa --jobs 2"), ("features", TOY)])
def test_killed_and_started_again(many_videos, tmp_path, kills, script, options):
    def run(out: Path, **environment: str) -> tuple[int, str]:
        words = (f"preproc/extract_{script}.py", many_videos, out, *options.split())
        process = start(*words, PYTHONUNBUFFERED="1", **environment)
        return process.communicate()[0], process.returncode

    undisturbed, out = tmp_path / "undisturbed", tmp_path / "out"
    assert run(undisturbed)[1] == 0
    draw, seen, left = random.Random(0), {}, 12

    for kill in range(kills + 1):
        at = sitecustomize.variables(draw.randint(1, MOST_OPERATIONS), out, group=False) if kill < kills else {}
        said, code = run(out, **at)
        assert code in ((-signal.SIGKILL, 0) if at else (0,))
        if announced := re.search(r"(\d+) videos to do", said):
            assert int(announced[1]) == left
        there = list(out.glob("[!.]*") if out.is_dir() else tmp_path.glob("out.parts/[!.]*.npy"))
        for path in there:  # whole, and as it was
            stamp = (path.stat().st_ino, path.stat().st_mtime_ns)
            assert seen.setdefault(path.name, stamp) == stamp
            assert not out.is_dir() or contents(path) == contents(undisturbed / path.name)
        left = 0 if out.is_file() else 12 - len(there)
    assert left == 0 and contents(out) == contents(undisturbed)
    assert out.is_dir() or out.read_bytes() == undisturbed.read_bytes()
    listed = Path(f"{out}.failed.csv").read_text()
    assert "used, but damaged" in listed and listed == Path(f"{undisturbed}.failed.csv").read_text()
    assert out.is_dir() or not [*tmp_path.glob("out.parts"), *tmp_path.glob(".*")]
