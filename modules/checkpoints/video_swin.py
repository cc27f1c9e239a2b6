"""Video Swin checkpoints, published or torchvision's: a file to a network."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from datasets.errors import InputError
from modules.models.video_swin import ARCHITECTURES, VideoSwin, get_sizes

from .reader import CheckpointFile, read_checkpoint

_PUBLISHED_NAMES = (
    (r"^layers\.(\d+)\.blocks\.(\d+)\.", lambda m: f"features.{2 * int(m[1])}.{m[2]}."),
    (r"^layers\.(\d+)\.downsample\.", lambda m: f"features.{2 * int(m[1]) + 1}."),
    (r"\.mlp\.fc1\.", lambda m: ".mlp.0."),
    (r"\.mlp\.fc2\.", lambda m: ".mlp.3."),
)


def from_published(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published weights (keys ``backbone.*``) under `VideoSwin`'s names; the classifier and buffers are left out.

    torchvision's own files have these names already, and pass.
    """
    renamed = {}
    for key, weight in weights.items():
        name = key.removeprefix("backbone.")
        if name.startswith(("head.", "cls_head.")) or name.endswith("relative_position_index"):
            continue
        for pattern, replacement in _PUBLISHED_NAMES:
            name = re.sub(pattern, replacement, name)
        renamed[name] = weight
    return renamed


def load_video_swin(source: str | Path | CheckpointFile, arch: str = "base") -> VideoSwin:
    """A network with the weights of a checkpoint file, published or torchvision's.

    Raises:
        InputError: the file cannot be read, or holds the weights of something else.
    """
    model = VideoSwin(get_sizes(arch))
    file = source if isinstance(source, CheckpointFile) else read_checkpoint(source)
    if (found := find_arch(file)) != arch:
        raise InputError(f"{file.path} does not hold Video Swin {arch}, but {found}")
    model.load_state_dict(from_published(file.tensors), strict=False)  # the buffers stay as they are
    return model


def find_arch(file: CheckpointFile) -> str:
    """The architecture whose weights a checkpoint file holds, told by their names and widths.

    Raises:
        InputError: it holds the weights of no known one.
    """
    weights = from_published(file.tensors)
    found = {name: weight.shape for name, weight in weights.items()}
    for arch, sizes in ARCHITECTURES.items():
        with torch.device("meta"):
            wanted = VideoSwin(sizes).named_parameters()
        if found == {name: weight.shape for name, weight in wanted}:
            return arch
    raise InputError(f"{file.path} holds the weights of no Video Swin that is known ({', '.join(ARCHITECTURES)})")
