"""A disk that is full: one line that names the file, and what was whole before is whole after."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.paths import ROOT
from tests.kit.runs import load, train
from tests.kit.small_world import make_small_world, settings


def _may_mount() -> bool:
    try:
        return subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0
    except OSError:
        return False


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not _may_mount(), reason="this machine lets no user mount a small disk of their own"),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, Path]:
    """A world, and the best checkpoint of a run on it."""
    world = make_small_world(tmp_path_factory.mktemp("world"))
    return world, train(world, "it", "max_epoch=1") / "checkpoints/best.ckpt"


def run_on_small_disk(world: Path, folder: Path, size: str, *words: str, before: str = "true") -> str:
    """Trains or tests with a disk of that size, of which a copy is left at `folder`; returns what it said at last."""
    disk, kept = folder / "disk", folder / "kept"
    disk.mkdir()
    command = shlex.join([sys.executable, "run.py", *settings(world, f"log_dir={disk}", *words)])
    script = f"mount -t tmpfs -o size={size} tmpfs {disk} && cd {disk} && {before} && cd {ROOT} && {command}; code=$?;"
    script += f"cp -r {disk} {kept}; exit $code"
    done = subprocess.run(["unshare", "-rm", "bash", "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("error:") == 1
    return done.stderr.splitlines()[-1].removeprefix(f"error: cannot write {disk}/")


def test_checkpoints(trained, tmp_path):
    # A checkpoint has some 330 kB: there is room for two, not for a third beside them.
    said = run_on_small_disk(trained[0], tmp_path, "900k", "checkpoint_steps=1")
    assert said == "anetqa_seed0/version_0/checkpoints/next.ckpt: No space left on device"
    kept = [path for path in (tmp_path / "kept").rglob("*") if path.suffix in (".ckpt", ".tmp")]
    assert sorted(load(path)["global_step"] for path in kept) == [1, 2]


def test_predictions(trained, tmp_path):
    world, checkpoint = trained
    name = "anetqa_by_it_seed0_version_0_best.json"
    words = ("test_only=True", f"load_path={checkpoint}", "overwrite=True")
    said = run_on_small_disk(world, tmp_path, "4k", *words, before=f"echo old > {name}")
    assert said == f"{name}: No space left on device"
    assert {path.name: path.read_text() for path in (tmp_path / "kept").iterdir()} == {name: "old\n"}


def test_logs(trained, tmp_path):
    """Room for none: the first checkpoint is of the end of the run; a row of the log every ten steps."""
    more = ("max_epoch=2000", "val_check_interval=1000000", "checkpoint_steps=1000000")
    said = run_on_small_disk(trained[0], tmp_path, "32k", *more)
    assert re.match(r"anetqa_seed0/version_0/(metrics\.csv|events\.out\.tfevents\..*): No space left on device", said)
    header, *rows = (tmp_path / "kept/anetqa_seed0/version_0/metrics.csv").read_text().splitlines()
    assert {row.count(",") for row in rows} == {header.count(",")}
