"""A disk that is full: one line that names the file, and what was whole before is whole after."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import run  # noqa: F401  (brings the commands)
from config import run_command_line
from tests.kit.paths import ROOT
from tests.kit.small_world import make_small_world, settings


def _may_mount() -> bool:
    try:
        return subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not _may_mount(), reason="this machine lets no user mount a small disk of their own"),
]


def on_small_disk(folder: Path, size: str, script: str) -> subprocess.CompletedProcess:
    """Runs a shell script with a disk of that size at `folder`, which only the script sees."""
    folder.mkdir()
    mount = f"mount -t tmpfs -o size={size} tmpfs {shlex.quote(str(folder))}"
    return subprocess.run(
        ["unshare", "-rm", "bash", "-c", f"{mount} && {script}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return make_small_world(tmp_path_factory.mktemp("world"))


def test_checkpoints(world, tmp_path):
    disk = tmp_path / "disk"
    # A checkpoint has some 330 kB: there is room for two, not for a third beside them.
    train = shlex.join([sys.executable, "run.py", *settings(world, f"log_dir={disk}", "checkpoint_steps=1")])
    check = (
        "import glob, torch; print(sorted(torch.load(f, weights_only=True)['global_step'] for f in glob.glob('**/*', "
    )
    check += f"root_dir='{disk}', recursive=True) if f.endswith('.ckpt') or f.endswith('.tmp')))"
    check = check.replace("torch.load(f,", f"torch.load('{disk}/' + f,")
    done = on_small_disk(disk, "900k", f"{train}; echo code $?; {sys.executable} -c {shlex.quote(check)}")
    assert "code 2\n[1, 2]\n" in done.stdout
    assert done.stderr.count("error:") == 1
    folder = disk / "anetqa_seed0/version_0/checkpoints"
    assert done.stderr.endswith(f"error: cannot write {folder}/next.ckpt: No space left on device\n"), done.stderr


def test_predictions(world, tmp_path):
    assert run_command_line(settings(world, "max_epoch=1")) == 0
    (checkpoint,) = (world / "result").rglob("best.ckpt")
    disk = tmp_path / "disk"
    arguments = settings(world, f"log_dir={disk}", "test_only=True", f"load_path={checkpoint}", "overwrite=True")
    old = disk / "anetqa_by_anetqa_seed0_version_0_best.json"
    test = f"echo old > {old}; {shlex.join([sys.executable, 'run.py', *arguments])}"
    done = on_small_disk(disk, "4k", f"{test}; echo code $?; cat {old}; ls -A {disk}")
    assert done.stdout.endswith(f"code 2\nold\n{old.name}\n"), done.stdout + done.stderr
    assert done.stderr.endswith(f"error: cannot write {old}: No space left on device\n")


def test_logs(world, tmp_path):
    """Room for a checkpoint, and none for the log beside it."""
    disk = tmp_path / "disk"
    # The first checkpoint is of the end of the run; every ten steps a row of the log, and more for TensorBoard.
    more = ("max_epoch=2000", "val_check_interval=1000000", "checkpoint_steps=1000000", "exp_name=log")
    train = shlex.join([sys.executable, "run.py", *settings(world, f"log_dir={disk}", *more)])
    done = on_small_disk(disk, "32k", f"{train}; echo code $?; cat {disk}/log_seed0/version_0/metrics.csv")
    assert "\ncode 2\n" in done.stdout, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1
    folder = re.escape(str(disk / "log_seed0/version_0"))
    named = rf"error: cannot write {folder}/(?:metrics\.csv|events\.out\.tfevents\..*): No space left on device"
    assert re.match(named, done.stderr), done.stderr
    header, *rows = done.stdout.split("\ncode 2\n")[1].splitlines()
    assert rows
    assert {row.count(",") for row in rows} == {header.count(",")}
