"""Any checkpoint file to named tensors, without running code from it.

Formats: torch's zip files (memory-mapped), torch's legacy files, and ``.safetensors`` (memory-mapped); told apart by
what is in them, not by their suffix. Layouts: the weights alone, under ``state_dict`` (Lightning) or ``model`` (ALBEF).

A torch file is a pickle, which can name any function to be called. Here torch's weights-only unpickler reads it, with
a short list of further names that Lightning, Sacred and NumPy leave in checkpoints. Each of them becomes an inert
stand-in; nothing is imported for it. Any other name is refused.
"""

import argparse
import contextlib
import json
import pickle
import pickletools
import struct
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from datasets.errors import InputError

METADATA_KEY = "dest"  # where checkpoints saved here keep what they were made with
METADATA_TYPES = {"sizes": dict, "config": dict, "vocabulary": list, "tokenizer_vocabulary": list, "versions": dict}
LAYOUTS = ("state_dict", "model", "module")  # the keys under which others keep the weights


@dataclass
class CheckpointFile:
    """What a checkpoint file holds. The tensors may be views of the file: copy them, and let go of this object."""

    path: Path
    format: str  # "zip", "legacy" or "safetensors"
    layout: str  # the key that held the weights; "" if they were the whole file
    tensors: dict[str, Tensor]
    metadata: dict[str, Any] | None = None  # only in checkpoints saved here
    others: dict[str, Any] = field(default_factory=dict)  # what stood beside the weights


# --- stand-ins -------------------------------------------------------------------------------------------------------


def _callback_class(name: str) -> type:
    """Lightning 1.x keys the states of callbacks by their classes; an empty class of that name is enough."""
    return type(name, (), {})


def _path(*parts: str) -> str:
    return str(Path(*parts))


class _NumpyType:
    """``numpy.dtype`` of a scalar; only plain numbers."""

    def __init__(self, code: str, align: bool = False, copy: bool = True):
        if len(code) < 2 or code[0] not in "biuf" or not code[1:].isdigit():
            raise pickle.UnpicklingError(f"a NumPy value of type {code!r}")
        self.code = code
        self.order = "="

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]

    def unpack(self, raw: bytes) -> bool | int | float:
        order = {"|": "=", "=": "="}.get(self.order, self.order)
        letter = {"b1": "?", "f2": "e", "f4": "f", "f8": "d"}.get(self.code)
        letter = letter or {"i": "bhiq", "u": "BHIQ"}[self.code[0]][int(self.code[1:]).bit_length() - 1]
        return struct.unpack(order + letter, raw)[0]


def _numpy_scalar(dtype: _NumpyType, raw: bytes) -> bool | int | float:
    return dtype.unpack(raw)


class _Version:
    """Of torch, as text. Not `str` itself, which would look up a codec by a name from the file."""

    def __new__(cls, text: str) -> str:
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
        names[f"{module}.scalar"] = _numpy_scalar
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
    for package in ("pytorch_lightning", "lightning.pytorch"):
        for module, name in (
            ("model_checkpoint", "ModelCheckpoint"),
            ("early_stopping", "EarlyStopping"),
            ("lr_monitor", "LearningRateMonitor"),
            ("timer", "Timer"),
        ):
            names[f"{package}.callbacks.{module}.{name}"] = _callback_class(name)
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
    head = _head_of(path)
    try:
        if head.startswith(b"PK"):
            _verify_zip(path)
            content, kind = _torch_load(path, mmap=True), "zip"
        elif _is_safetensors(head, path.stat().st_size):
            return _read_safetensors(path)
        elif head[:1] == pickle.PROTO or head.startswith(_OLD_LEGACY):
            content, kind = _torch_load(path, mmap=False), "legacy"
        else:
            _refuse_code(path)
            raise InputError(f"{path} is not a checkpoint: {_describe_foreign(head)}")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return _pick_layout(path, kind, content)


def _head_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise InputError(f"checkpoint {path} does not exist") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a directory; give the checkpoint file inside it") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if not head:
        raise InputError(f"{path} is empty; its download or copy did not finish")
    return head


def _describe_foreign(head: bytes) -> str:
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page that was saved in its place; download the file itself"
    if text.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer; fetch the file itself (git lfs pull)"
    if all(byte in b"\t\n\r\f\x1b" or byte >= 32 for byte in head):
        return "it is a text file"
    return "it is neither a file written by torch.save nor .safetensors"


def _damaged(path: Path, what: str) -> InputError:
    return InputError(f"{path} is truncated or damaged ({what}); copy or download it again")


def _verify_zip(path: Path) -> None:
    """Compares every record with its checksum: a memory-mapped read would not notice a changed byte."""
    try:
        with zipfile.ZipFile(path) as archive:
            if not any(Path(info.filename).name == "data.pkl" for info in archive.infolist()):
                raise InputError(f"{path} is a zip file, but not one written by torch.save")
            if any(Path(info.filename).name == "constants.pkl" for info in archive.infolist()):
                raise InputError(
                    f"{path} is a TorchScript program, not weights; save what it holds: "
                    "torch.save(torch.jit.load(FILE).state_dict(), NEW_FILE)"
                )
            # torch.serialization.set_crc32_options(False) leaves zeros
            has_checksums = any(info.CRC for info in archive.infolist())
            for info in archive.infolist():
                if info.compress_type != zipfile.ZIP_STORED:
                    raise InputError(f"{path} was compressed after torch.save wrote it; unpack it and zip it with -0")
                if not has_checksums:
                    continue
                with archive.open(info) as record:
                    while record.read(1 << 20):
                        pass
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, struct.error, UnicodeDecodeError) as error:
        raise _damaged(path, str(error) or "it ends early") from None


def _torch_load(path: Path, mmap: bool) -> Any:
    try:
        with (
            torch.serialization.safe_globals([(stand_in, name) for name, stand_in in STAND_INS.items()]),
            warnings.catch_warnings(action="ignore"),  # on pickle protocols and TorchScript; the error says it better
        ):
            return torch.load(path.resolve(), map_location="cpu", weights_only=True, mmap=mmap)
    except (OSError, MemoryError) as error:
        raise _damaged(path, str(error) or "it asks for more memory than there is") from error
    except Exception as error:  # torch raises whatever the broken part of the file leads to
        _refuse_code(path)
        _refuse_other_pickles(path)
        # torch's last line is the reason, unless it points to torch's documentation
        reasons = [line for line in str(error).strip().splitlines() if "http" not in line]
        raise _damaged(path, reasons[-1] if reasons else "it ends early") from error


def _refuse_code(path: Path) -> None:
    """Raises InputError if a pickle in the file names anything that is not on the list."""
    foreign = next((name for name in _names_in_pickle(path) if not _is_allowed(name)), None)
    if foreign is not None:
        raise InputError(
            f"{path} is refused: it asks for {foreign}, which is not among the names that weights need, and could "
            "run code; if you trust its source, save its state_dict alone with torch.save"
        ) from None


def _is_allowed(name: str) -> bool:
    return name in STAND_INS or name in torch._weights_only_unpickler._get_allowed_globals()


def _names_in_pickle(path: Path) -> Iterator[str]:
    """The classes and functions that a torch file's pickles name, in order; parsed, never executed."""
    try:
        with _open_pickle(path) as file:
            # Legacy files: magic number, protocol, system information, content, storage keys; one pickle each.
            for _ in range(5):
                yield from _names_in_stream(file)
    except (ValueError, OSError, MemoryError, zipfile.BadZipFile):  # a length that is none, up to 4 GiB
        return


def _refuse_other_pickles(path: Path) -> None:
    """Raises InputError if the file is a pickle of another library, or of a protocol that torch's safe reader lacks."""
    with _open_pickle(path) as file:
        head = file.read(2)
    protocol = head[1] if len(head) == 2 and head[:1] == pickle.PROTO else "0 or 1"
    try:
        with _open_pickle(path) as file:
            from_torch = zipfile.is_zipfile(path) or any(
                argument == torch.serialization.MAGIC_NUMBER for _, argument, _ in pickletools.genops(file)
            )
    except (ValueError, MemoryError):  # it is damaged
        from_torch = True
    if not from_torch:
        raise InputError(f"{path} is a pickle, but not one that torch.save wrote") from None
    if protocol not in (2, 3):
        raise InputError(
            f"{path} was saved with pickle protocol {protocol}, which torch reads only in part without running code; "
            "if you trust its source, load it by torch.load with weights_only=False, and save it again by torch.save"
        ) from None


@contextlib.contextmanager
def _open_pickle(path: Path) -> Iterator[IO[bytes]]:
    """Opens what a torch file says beside the numbers of its tensors."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if Path(name).name == "data.pkl"]
        with archive.open(names[0]) as file:
            yield file


def _names_in_stream(file: IO[bytes]) -> Iterator[str]:
    """The names in one pickle, if it is whole: other files, too, may begin like one."""
    names: list[str] = []
    strings: list[str | None] = []  # what was pushed, in order; None for all that is no string
    memo: dict[int, str | None] = {}
    for operation, argument, _ in pickletools.genops(file):
        if operation.name in ("GLOBAL", "INST"):
            names.append(_modern_name(*argument.split(" ", 1)))
        elif operation.name == "STACK_GLOBAL" and len(strings) >= 2 and None not in strings[-2:]:
            names.append(_modern_name(*strings[-2:]))
        if operation.name == "MEMOIZE":
            memo[len(memo)] = strings[-1] if strings else None
        elif operation.name.endswith("PUT"):
            memo[argument] = strings[-1] if strings else None
        elif operation.name.endswith("GET"):
            strings.append(memo.get(argument))
        else:
            strings.append(argument if isinstance(argument, str) else None)
    yield from names


def _modern_name(module: str, name: str) -> str:
    """Under protocol 2 Python still writes the names of Python 2 (``__builtin__``)."""
    read = torch._weights_only_unpickler
    module, name = read.NAME_MAPPING.get((module, name), (read.IMPORT_MAPPING.get(module, module), name))
    return f"{module}.{name}"


def _is_safetensors(head: bytes, size: int) -> bool:
    """Eight bytes for the length of a JSON header, and the header."""
    return len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= max(size, 1 << 20)


def _read_safetensors(path: Path) -> CheckpointFile:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            notes = file.metadata() or {}
    except SafetensorError as error:
        raise _damaged(path, str(error)) from None
    metadata = None
    if METADATA_KEY in notes:
        try:
            metadata = json.loads(notes[METADATA_KEY])
        except (ValueError, RecursionError) as error:
            raise _damaged(path, f"its metadata is not JSON: {error}") from None
    return CheckpointFile(path, "safetensors", "", _named_tensors(path, tensors), _checked_metadata(path, metadata))


def _pick_layout(path: Path, kind: str, content: Any) -> CheckpointFile:
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds one {type(content).__name__}, not weights with names")
    metadata = _checked_metadata(path, content.get(METADATA_KEY))
    for layout in LAYOUTS:
        weights = content.get(layout)
        if isinstance(weights, Mapping) and any(isinstance(value, Tensor) for value in weights.values()):
            others = {key: value for key, value in content.items() if key not in (layout, METADATA_KEY)}
            return CheckpointFile(path, kind, layout, _named_tensors(path, weights), metadata, others)
    others = {key: value for key, value in content.items() if not isinstance(value, Tensor)}
    return CheckpointFile(path, kind, "", _named_tensors(path, content), metadata, others)


def _checked_metadata(path: Path, metadata: Any) -> dict[str, Any] | None:
    """The record of a checkpoint saved here, of the form that `checkpoint_metadata.make_metadata` gives it."""
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise InputError(f"{path}: its entry {METADATA_KEY!r} is a {type(metadata).__name__}, not a dict")
    for key, kind in METADATA_TYPES.items():
        value = metadata.get(key)
        if value is not None and not isinstance(value, kind):
            raise InputError(
                f"{path}: its entry {METADATA_KEY}.{key} is a {type(value).__name__}, not a {kind.__name__}"
            )
        if isinstance(value, list) and not all(isinstance(word, str) for word in value):
            raise InputError(f"{path}: its entry {METADATA_KEY}.{key} holds something that is not text")
        if isinstance(value, list) and len(set(value)) != len(value):
            twice = next(word for word, count in Counter(value).items() if count > 1)
            raise InputError(f"{path}: its entry {METADATA_KEY}.{key} lists {twice!r} twice")
    return metadata


def _named_tensors(path: Path, weights: Mapping) -> dict[str, Tensor]:
    tensors = {}
    for name, value in weights.items():
        if not isinstance(value, Tensor):
            continue
        if value.layout is not torch.strided or value.is_quantized or value.device.type != "cpu":
            raise InputError(f"{path}: {name} is not a plain tensor ({value.layout}, {value.dtype}, {value.device})")
        tensors[str(name)] = value.detach()
    if not tensors:
        entries = ", ".join(map(str, list(weights)[:5])) or "none"
        raise InputError(f"{path} holds no weights (its entries: {entries})")
    return tensors
