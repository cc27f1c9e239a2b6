"""The published networks' names, weights and results, for tests."""

import itertools
import json
import re
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from modules.checkpoints.reader import CheckpointFile
from tests.kit.paths import FIXTURES


@cache
def published_keys(task: str) -> dict[str, tuple[int, ...]]:
    """Name -> shape, of all floating-point weights of a published checkpoint."""
    keys = {}
    for pattern, shape in json.loads((FIXTURES / "parity" / "keys.json").read_text())[task].items():
        fixed = re.split(r"\{\d+\.\.\d+\}", pattern)
        ranges = [range(int(first), int(last) + 1) for first, last in re.findall(r"\{(\d+)\.\.(\d+)\}", pattern)]
        for numbers in itertools.product(*ranges):
            name = fixed[0] + "".join(f"{number}{text}" for number, text in zip(numbers, fixed[1:], strict=True))
            keys[name] = tuple(shape)
    return keys


@cache
def rebuilt_weight(name: str, shape: tuple[int, ...]) -> Tensor:
    """The weight that the published code was run with: drawn from the name."""
    draw = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape or 1)
    weight = torch.from_numpy(draw.astype(np.float32).reshape(shape))
    if name == "tau":
        return torch.full(shape, 0.07)
    if name.endswith(("LayerNorm.weight", "ln.weight", "layer_norm.weight")) or (
        ".norm" in name and name.endswith("weight")
    ):
        return 1 + 0.1 * weight
    return 0.04 * weight


def rebuilt_file(task: str) -> CheckpointFile:
    """A published checkpoint with rebuilt weights, as `read_checkpoint` would return it."""
    weights = {name: rebuilt_weight(name, shape) for name, shape in published_keys(task).items()}
    return CheckpointFile(Path(f"{task}.ckpt"), "zip", "state_dict", weights)


def arrays(name: str) -> dict[str, Tensor]:
    with np.load(FIXTURES / "parity" / f"{name}.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    return float((ours.double() - theirs.double()).norm() / theirs.double().norm())
