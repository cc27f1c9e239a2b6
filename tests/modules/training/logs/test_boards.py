"""A run that Weights & Biases follows without its server, and that is resumed: read back from W&B's own files."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.training.failures import explain
from tests.kit.paths import ROOT
from tests.kit.processes import run_python
from tests.kit.runs import rows, run_folder
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
        place += HEADER + length
        pieces += data[place - length : place]
        if kind in (1, 4):  # whole, or its last piece
            yield Record.FromString(pieces)
            pieces = b""


def values(items) -> dict:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def test_a_run_and_its_continuation(tmp_path):
    world = make_small_world(tmp_path)
    for more in (["max_epoch=4"], ["max_epoch=8", "resume_from=last"]):
        words = settings(world, "exp_name=log", "logger=wandb", "learning_rate=1e-3", *more)
        environment = {"WANDB_MODE": "offline", "WANDB_API_KEY": ""}
        done = run_python(ROOT / "run.py", *words, cwd=world, **environment)
        assert done.returncode == 0, done.stderr
    folder = run_folder(world, "log")
    files = sorted(folder.glob("wandb/*run-*/run-*.wandb"))
    config, curves = {}, {}
    for path in files:
        shown = []
        for record in records(path):
            row = values(record.history.item)
            curves |= {(name, row.get("trainer/global_step")): value for name, value in row.items()}
            shown += [row["examples/1/filenames"]] if "examples/1/filenames" in row else []
            config |= values([*record.config.update, *record.run.config.update])
            assert record.run.run_id in ("", files[0].stem.removeprefix("run-"))  # of both it is one run
        assert len(shown) == 4
        for name in shown[-1]:
            assert (path.parent / "files" / name).is_file()
    assert len(files) == 2 and files[0].name == files[1].name

    logged = {(name, int(row["step"])): float(row[name]) for row in rows(folder) for name in row if row[name]}
    logged = {key: value for key, value in logged.items() if key[0] != "step"}
    assert {step for name, step in logged if name == "val/loss"} == set(range(2, 24, 3))
    assert {key: curves.get(key) for key in logged} == pytest.approx(logged)
    assert (config["exp_name"], config["learning_rate"], config["max_epoch"]) == ("log", 1e-3, 8)


def test_without_a_key():
    from wandb.errors import UsageError

    error = explain(UsageError("No API key configured. Use `wandb login` to log in."), {})
    assert str(error) == (
        "W&B: No API key configured. Use `wandb login` to log in; or write without a server: WANDB_MODE=offline"
    )
