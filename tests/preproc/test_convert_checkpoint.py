"""Conversion keeps every bit and the metadata; --info says what a file is and where its weights go."""

from pathlib import Path

import pytest
import torch

from modules.checkpoints.metadata import make_metadata
from modules.checkpoints.reader import read_checkpoint
from modules.models.dest import DeST
from preproc.convert_checkpoint import convert
from tests.kit.processes import run_python
from tests.modules.models.test_dest import SMALL

METADATA = make_metadata(SMALL, {"exp_name": "toy", "datasets": ["anetqa"]}, ["yes", "no"], ["[PAD]"])


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    path = tmp_path / "x.ckpt"
    buffers = {"text_encoder.embeddings.position_ids": torch.arange(32)[None], "tau": torch.tensor(0.07)}
    weights = DeST(SMALL).state_dict() | buffers
    torch.save({"state_dict": weights, "dest": METADATA, "optimizer_states": [{"step": 1}]}, path)
    return path


def assert_same(first, second):
    first, second = read_checkpoint(first), read_checkpoint(second)
    torch.testing.assert_close(dict(first.tensors), dict(second.tensors), rtol=0, atol=0)
    assert first.metadata == second.metadata


def test_info(tmp_path, checkpoint):
    words = ("preproc/convert_checkpoint.py", checkpoint, tmp_path / "y.safetensors", "--info")
    text = run_python(*words).stdout
    assert "x.ckpt: a DeST checkpoint for question answering" in text and "exp_name toy, datasets ['anetqa']" in text
    lines = {line.split("  ")[1].strip(): line for line in text.splitlines() if line.startswith("  ")}
    numbers = sum(weight.numel() for weight in DeST(SMALL).visual_encoder.state_dict().values())
    assert lines["visual_encoder"].split()[1:] == ["18", f"{numbers:,}", "DeST"]


def test_there_and_back(tmp_path, checkpoint):
    """Also weights that share memory, as in published checkpoints, and the legacy format."""
    table = torch.randn(10, 4)
    torch.save({"positions": table, "first": table[:3], "same": table, "turned": table.T}, tmp_path / "shared.pth")
    torch.save({"model": {"a": torch.ones(2)}}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for source in ("x.ckpt", "shared.pth", "old.pth"):
        convert(tmp_path / source, tmp_path / "y.safetensors")
        convert(tmp_path / "y.safetensors", tmp_path / "z.pt")
        for made in ("y.safetensors", "z.pt"):
            assert_same(tmp_path / source, tmp_path / made)
    assert read_checkpoint(tmp_path / "z.pt").layout == "state_dict"
    assert {path.name for path in tmp_path.iterdir()} == {"x.ckpt", "shared.pth", "old.pth", "y.safetensors", "z.pt"}
