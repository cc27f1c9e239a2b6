"""Any checkpoint file to named tensors, without running code from it.

Formats: torch's zip files (memory-mapped), torch's legacy files, and ``.safetensors`` (memory-mapped); told apart by
what is in them, not by their suffix. Layouts: the weights alone, under ``state_dict`` (Lightning) or ``model`` (ALBEF).

A torch file is a pickle, which can name any function to be called. Here torch's weights-only unpickler reads it, with
a short list of further names that Lightning, Sacred and NumPy leave in checkpoints. Each of them becomes an inert
stand-in; nothing is imported for it. Any other name is refused.
"""

import argparse
import json
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from datasets.errors import InputError, explained
from datasets.files import reading

METADATA_KEY = "dest"  # where checkpoints saved here keep what they were made with
LAYOUTS = ("state_dict", "model", "module")  # the keys under which others keep the weights


@dataclass
class CheckpointFile:
    """Contents of a checkpoint file. The tensors may be views of the file: copy them, and let go of this object."""

    path: Path
    format: str  # "zip", "legacy" or "safetensors"
    layout: str  # the key that held the weights; "" if they were the whole file
    tensors: dict[str, Tensor]
    metadata: dict[str, Any] | None = None  # only in checkpoints saved here
    others: dict[str, Any] = field(default_factory=dict)  # what stood beside the weights


# --- stand-ins -------------------------------------------------------------------------------------------------------


def _path(*parts: str) -> str:
    return str(Path(*parts))


class _NumpyType:
    """``numpy.dtype`` of a scalar; only plain numbers."""

    def __init__(self, code: str, align: bool = False, copy: bool = True):
        if not re.fullmatch(r"[biuf]\d+", code):
            raise pickle.UnpicklingError(f"a NumPy value of type {code!r}")
        self.code = code
        self.order = "="

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]

    def unpack(self, raw: bytes) -> bool | int | float:
        return np.frombuffer(raw, self.order + self.code)[0].item()


class _Version:
    """Version of torch, as text. Not `str` itself, which would look up a codec by a name from the file."""

    def __new__(cls, text: str) -> str:  # type: ignore[misc]
        return str(text)


def _stand_ins() -> dict[str, Any]:
    names: dict[str, Any] = {
        "argparse.Namespace": argparse.Namespace,
        "torch.torch_version.TorchVersion": _Version,
        "numpy.dtype": _NumpyType,
        "sacred.config.custom_containers.ReadOnlyDict": dict,
        "sacred.config.custom_containers.ReadOnlyList": list,
    }
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        names[f"{module}.scalar"] = _NumpyType.unpack
    for module in ("pathlib", "pathlib._local"):
        for name in ("Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"):
            names[f"{module}.{name}"] = _path
    for module in (
        "pytorch_lightning.utilities.parsing",
        "lightning.pytorch.utilities.parsing",
        "lightning_fabric.utilities.data",
        "lightning.fabric.utilities.data",
    ):
        names[f"{module}.AttributeDict"] = dict
    # Lightning 1.x keys the states of callbacks by their classes; an empty class of that name is enough.
    for package in ("pytorch_lightning", "lightning.pytorch"):
        for module, name in (
            ("model_checkpoint", "ModelCheckpoint"),
            ("early_stopping", "EarlyStopping"),
            ("lr_monitor", "LearningRateMonitor"),
            ("timer", "Timer"),
        ):
            names[f"{package}.callbacks.{module}.{name}"] = type(name, (), {})
    return names


# Full name in a pickle -> what takes its place. Nothing here can be made to call anything, to import or to write.
STAND_INS = _stand_ins()


# --- reading ---------------------------------------------------------------------------------------------------------

# How a legacy file of pickle protocol 0 or 1, which have no opcode of their own in front, begins.
_OLD_LEGACY = b"L%dL\n." % torch.serialization.MAGIC_NUMBER


def read_checkpoint(path: str | Path) -> CheckpointFile:
    """Reads any checkpoint file; see the module's docstring for which, and for why this is safe.

    Raises:
        InputError: there is no such file, it is no checkpoint, it is damaged, it holds no weights, or it asks for
            something that is not on the list; one line that names the file and, in the last case, the class.
    """
    path = Path(path)
    with reading(path):
        with path.open("rb") as file:
            head = file.read(512)
        if head.startswith(b"PK"):
            return _pick_layout(path, "zip", _torch_load(path, mmap=_verify_zip(path)))
        if _is_safetensors(head, path.stat().st_size):
            return _read_safetensors(path)
        if head[:1] == pickle.PROTO or head.startswith(_OLD_LEGACY):
            return _pick_layout(path, "legacy", _torch_load(path, mmap=False))
    raise InputError(f"{path} is not a checkpoint: {_describe_foreign(head)}")


def _describe_foreign(head: bytes) -> str:
    text = head.lstrip().lower()
    if not head:
        return "it is empty; its download or copy did not finish"
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page that was saved in its place; download the file itself"
    if text.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer; fetch the file itself (git lfs pull)"
    return "it is neither a file written by torch.save nor .safetensors"


def _damaged(path: Path, reason: object) -> InputError:
    return InputError(f"{path} is truncated or damaged, or no file of weights ({reason}); copy or download it again")


def _verify_zip(path: Path) -> bool:
    """Compares every record with its checksum, as a memory-mapped read would not notice a changed byte.

    Returns:
        whether the file can be memory-mapped: nobody has compressed it after torch.save wrote it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
            # torch.serialization.set_crc32_options(False) leaves zeros
            wrong = archive.testzip() if any(record.CRC for record in records) else None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, struct.error, UnicodeDecodeError) as error:
        raise _damaged(path, error) from None
    if wrong is not None:
        raise _damaged(path, f"the checksum of {wrong} differs")
    return all(record.compress_type == zipfile.ZIP_STORED for record in records)


def _torch_load(path: Path, mmap: bool) -> Any:
    try:
        with (
            torch.serialization.safe_globals([(stand_in, name) for name, stand_in in STAND_INS.items()]),
            warnings.catch_warnings(action="ignore"),  # on pickle protocols and TorchScript; the error says it better
        ):
            return torch.load(path.resolve(), map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # torch raises whatever the broken part of the file leads to
        if asked := re.search(r"(?:GLOBAL|class) (\S+) (?:was not|whose module)", str(error)):
            raise InputError(
                f"{path} is refused: it asks for {asked[1]}, which is not among the names that weights need, and could "
                "run code; if you trust its source, save its state_dict alone with torch.save"
            ) from error
        # torch's last line is the reason, unless it points to torch's documentation
        reasons = [line for line in str(error).strip().splitlines() if "http" not in line and line.strip()]
        raise _damaged(path, reasons[-1] if reasons else "it ends early") from error


def _is_safetensors(head: bytes, size: int) -> bool:
    """Eight bytes for the length of a JSON header, and the header."""
    return len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= max(size, 1 << 20)


def _read_safetensors(path: Path) -> CheckpointFile:
    with explained(f"{path} is truncated or damaged", SafetensorError, ValueError):  # JSONDecodeError, too
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            notes = file.metadata() or {}
        metadata = json.loads(notes[METADATA_KEY]) if METADATA_KEY in notes else None
    return CheckpointFile(path, "safetensors", "", _named_tensors(path, tensors), metadata)


def _pick_layout(path: Path, kind: str, content: Any) -> CheckpointFile:
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds one {type(content).__name__}, not weights with names")
    metadata = content.get(METADATA_KEY)
    for layout in LAYOUTS:
        weights = content.get(layout)
        if isinstance(weights, Mapping) and any(isinstance(value, Tensor) for value in weights.values()):
            others = {key: value for key, value in content.items() if key not in (layout, METADATA_KEY)}
            return CheckpointFile(path, kind, layout, _named_tensors(path, weights), metadata, others)
    others = {key: value for key, value in content.items() if not isinstance(value, Tensor)}
    return CheckpointFile(path, kind, "", _named_tensors(path, content), metadata, others)


def _named_tensors(path: Path, weights: Mapping) -> dict[str, Tensor]:
    tensors = {str(name): value.detach() for name, value in weights.items() if isinstance(value, Tensor)}
    if not tensors:
        entries = ", ".join(map(str, list(weights)[:5])) or "none"
        raise InputError(f"{path} holds no weights (its entries: {entries})")
    return tensors
