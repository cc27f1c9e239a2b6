"""A run that Weights & Biases follows without its server, and that is resumed: read back from W&B's own files."""

import csv
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from PIL import Image

from modules.training.failures import explain
from tests.kit.paths import ROOT
from tests.kit.runs import run_folder
from tests.kit.small_world import make_small_world, settings

pytest.importorskip("wandb", reason="W&B is not installed (requirements-wandb.txt)")
BLOCK, HEADER = 32768, 7  # bytes, of the records of a LevelDB log


def records(path: Path) -> Iterator:
    """Messages that W&B wrote down to be sent, each in one piece or several."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, pieces = path.read_bytes(), HEADER, b""
    while place + HEADER < len(data):
        if BLOCK - place % BLOCK < HEADER:
            place += BLOCK - place % BLOCK
        length, kind = struct.unpack_from("<HB", data, place + 4)
        place += HEADER
        pieces += data[place : place + length]
        place += length
        if kind in (1, 4):  # whole, or its last piece
            yield Record.FromString(pieces)
            pieces = b""


def history(files: list[Path]) -> list[dict]:
    rows = [record.history.item for path in files for record in records(path) if record.HasField("history")]
    return [{item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in row} for row in rows]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> tuple[Path, list[Path], list[subprocess.CompletedProcess]]:
    """The run's folder, W&B's files of the run and of its continuation, and what both printed."""
    world = make_small_world(tmp_path_factory.mktemp("world"))
    done = []
    for more in (["max_epoch=4"], ["max_epoch=8", "resume_from=last"]):
        words = settings(world, "exp_name=log", "logger=wandb", "learning_rate=1e-3", *more)
        command = [sys.executable, ROOT / "run.py", *words]
        environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_API_KEY": "", "TMPDIR": str(world)}
        done.append(subprocess.run(command, env=environment, cwd=world, capture_output=True, text=True))
        assert done[-1].returncode == 0, done[-1].stderr
    folder = run_folder(world, "log")
    return folder, sorted(folder.glob("wandb/*run-*/run-*.wandb")), done


def test_curves_are_those_of_the_csv_log(runs):
    folder, files, _ = runs
    curves: dict[tuple[str, int], float] = {}
    for row in history(files):
        step = row.get("trainer/global_step")
        curves |= {(name, step): value for name, value in row.items() if isinstance(value, int | float)}
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    logged = {(name, int(row["step"])): float(row[name]) for row in rows for name in row if row[name]}
    logged = {key: value for key, value in logged.items() if key[0] != "step"}
    assert {step for name, step in logged if name == "val/loss"} == set(range(2, 24, 3))
    assert {key: curves.get(key) for key in logged} == pytest.approx(logged)


def test_the_resumed_run_is_the_same_one(runs):
    _, files, _ = runs
    assert len(files) == 2
    assert files[0].name == files[1].name  # run-<id>.wandb
    ids = [record.run.run_id for path in files for record in records(path) if record.HasField("run")]
    assert set(ids) == {files[0].stem.removeprefix("run-")}


def test_settings(runs):
    folder, files, _ = runs
    config = {}
    for record in records(files[-1]):
        for item in [*record.config.update, *record.run.config.update]:
            config[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    kept = yaml.safe_load((folder / "hparams.yaml").read_text())
    assert {name: config[name] for name in kept if not isinstance(kept[name], dict)} == {
        name: value for name, value in kept.items() if not isinstance(value, dict)
    }


def test_examples(runs):
    _, files, _ = runs
    for path in files:
        shown = [row["examples/1/filenames"] for row in history([path]) if "examples/1/filenames" in row]
        assert len(shown) == 4
        for name in shown[-1]:
            with Image.open(path.parent / "files" / name) as picture:
                assert picture.height > 112


def test_no_process_is_left(runs):
    """W&B's process is told of a file in TMPDIR, which is this world's."""
    world = runs[0].parents[2]
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if str(world) in command]


def test_without_a_key():
    from wandb.errors import UsageError

    error = explain(UsageError("No API key configured. Use `wandb login` to log in."), {})
    assert str(error) == (
        "W&B: No API key configured. Use `wandb login` to log in; or write without a server: WANDB_MODE=offline"
    )
