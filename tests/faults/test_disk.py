"""A disk that is full: one line that names the file, and what was whole before is whole after."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.paths import ROOT
from tests.kit.runs import load, train
from tests.kit.small_world import make_small_world, settings

may_mount = shutil.which("unshare") and subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not may_mount, reason="this machine lets no user mount a small disk of their own"),
]


@pytest.fixture
def world(tmp_path) -> Path:
    return make_small_world(tmp_path)


def run_on_small_disk(world: Path, size: str, *words: str, before: str = "true") -> str:
    """Trains or tests with a disk of that size, of which a copy is left, `kept`; returns what it said at last."""
    disk = world / "disk"
    disk.mkdir()
    command = shlex.join([sys.executable, "run.py", *settings(world, f"log_dir={disk}", *words)])
    script = f"mount -t tmpfs -o size={size} tmpfs {disk} && cd {disk} && {before} && cd {ROOT} && {command}; code=$?;"
    script += f"cp -r {disk} {world / 'kept'}; exit $code"
    done = subprocess.run(["unshare", "-rm", "bash", "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("error:") == 1, done.stdout + done.stderr
    return done.stderr.splitlines()[-1].removeprefix(f"error: cannot write {disk}/")


def test_checkpoints(world):
    # A checkpoint has some 330 kB: there is room for two, not for a third beside them.
    said = run_on_small_disk(world, "900k", "checkpoint_steps=1")
    assert said == "anetqa_seed0/version_0/checkpoints/next.ckpt: No space left on device"
    kept = [path for path in (world / "kept").rglob("*") if path.suffix in (".ckpt", ".tmp")]
    assert sorted(load(path)["global_step"] for path in kept) == [1, 2]


def test_predictions(world):
    checkpoint = train(world, "it", "max_epoch=1") / "checkpoints/best.ckpt"
    name = "anetqa_by_it_seed0_version_0_best.json"
    words = ("test_only=True", f"load_path={checkpoint}", "overwrite=True")
    assert run_on_small_disk(world, "4k", *words, before=f"echo old > {name}") == f"{name}: No space left on device"
    assert {path.name: path.read_text() for path in (world / "kept").iterdir()} == {name: "old\n"}


def test_logs(world):
    """Room for none: the first checkpoint is of the end of the run; a row of the log every ten steps."""
    said = run_on_small_disk(world, "32k", "max_epoch=2000", "val_check_interval=1000000", "checkpoint_steps=1000000")
    assert re.match(r"anetqa_seed0/version_0/(metrics\.csv|events\.out\.tfevents\..*): No space left on device", said)
    header, *rows = (world / "kept/anetqa_seed0/version_0/metrics.csv").read_text().splitlines()
    assert {row.count(",") for row in rows} == {header.count(",")}
