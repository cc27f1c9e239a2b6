"""Writing files so that they appear whole or not at all, reading JSON with clear errors, and hashes."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from .errors import InputError, explained, refusing

FRAME_SETTINGS = ".extract_frames.json"  # in a folder of frames: what preproc/extract_frames.py made them with
FRAME_COUNTS = "counts"  # in it, beside the settings: directory -> how many frames it made


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "w") -> Iterator[IO]:
    """Opens a temporary file beside `path` that takes its place when the block ends without an error.

    Raises:
        InputError: the folder cannot be written or the disk is full; what stood at `path` before is untouched.
    """
    path = Path(path)
    with explained(f"cannot write {path}"), contextlib.ExitStack() as cleanup:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        temporary = Path(name)
        cleanup.callback(temporary.unlink, missing_ok=True)
        encoding = None if "b" in mode else "utf-8"
        with os.fdopen(descriptor, mode, encoding=encoding, newline=None if "b" in mode else "") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
        sync_folder(path.parent)


def sync_folder(folder: str | os.PathLike) -> None:
    """Brings the names in a folder to the disk, where its file system can: what was renamed stays so in a power cut."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@refusing
def check_writable(path: str | os.PathLike) -> Iterator[str]:
    """Raises InputError when `atomic_write` could not put a file there, as far as that is known before."""
    path = Path(path)
    folder = next(parent for parent in path.absolute().parents if os.access(parent, os.F_OK))
    if path.is_dir():
        yield f"cannot write {path}: it is a folder"
    if not folder.is_dir():
        yield f"cannot write {path}: {folder} is no folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        yield f"cannot write {path}: {folder} cannot be written to"


@contextlib.contextmanager
def reading(path: str | os.PathLike) -> Iterator[None]:
    """Context in which a file that is missing, cannot be read or is no UTF-8 text is an InputError that names it."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None


def read_list(key: str, path: str | os.PathLike | None, what: str) -> list[str]:
    """The lines of a text file that are not blank; none without a file.

    Raises:
        InputError: it cannot be read as text, or has no such line; names the setting (`key`), and what a line is.
    """
    if path is None:
        return []
    with explained(f"{key}={str(path)!r} cannot be read as text", OSError, UnicodeDecodeError):
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise InputError(f"{key}={str(path)!r} holds no {what}; write one per line")
    return found


def write_json(path: str | os.PathLike, value: Any, **options: Any) -> None:
    """Writes `value` as JSON, whole or not at all. Raises InputError when it cannot be written."""
    with atomic_write(path) as file:
        json.dump(value, file, **options)


def sha256_of(path: str | os.PathLike) -> str:
    """Hash of a file. Two seconds per gigabyte or less. Raises InputError when it cannot be read."""
    with reading(path), Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_path(predictions: Path) -> Path:
    """The file beside predictions that says how they were made: `A.json` -> `A.meta.json`."""
    return predictions.with_suffix(".meta.json")


def read_json(path: str | os.PathLike) -> Any:
    """Reads one JSON file.

    Raises:
        InputError: the file is missing, unreadable, not UTF-8 or not JSON; the message names it.
    """
    with reading(path):
        text = Path(path).read_text(encoding="utf-8")
    with explained(f"{path} is not valid JSON", ValueError, RecursionError):  # or an integer of too many digits
        return json.loads(text)
