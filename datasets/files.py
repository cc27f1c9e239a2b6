"""Writing files so that they appear whole or not at all, and reading JSON with clear errors."""

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from .errors import InputError

FRAME_SETTINGS = ".extract_frames.json"  # in a folder of frames: what preproc/extract_frames.py made them with
FRAME_COUNTS = "counts"  # in it, beside the settings: directory -> how many frames it made


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "w") -> Iterator[IO]:
    """Opens a temporary file beside `path` that takes its place when the block ends without an error.

    Raises:
        InputError: the folder cannot be written or the disk is full; what stood at `path` before is untouched.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        encoding = None if "b" in mode else "utf-8"
        with os.fdopen(descriptor, mode, encoding=encoding, newline=None if "b" in mode else "") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
        temporary = None
        sync_folder(path.parent)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def sync_folder(folder: str | os.PathLike) -> None:
    """Brings the names in a folder to the disk, where its file system can: what was renamed stays so in a power cut."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def check_writable(path: str | os.PathLike) -> None:
    """Raises InputError when `atomic_write` could not put a file there, as far as that is known before."""
    path = Path(path)
    folder = next(parent for parent in path.absolute().parents if os.access(parent, os.F_OK))
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder")
    if not folder.is_dir():
        raise InputError(f"cannot write {path}: {folder} is no folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"cannot write {path}: {folder} cannot be written to")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def open_regular(path: str | os.PathLike, mode: str = "r", **options: Any) -> IO:
    """Opens a file for reading as `open` does, but no pipe or device, which would be waited for.

    Raises:
        InputError: not a regular file.
        OSError: as `open`.
    """
    return open(path, mode, opener=_open_regular, **options)


def _open_regular(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # of a folder `open` itself tells
        os.close(descriptor)
        raise InputError(f"{path} is not a regular file")
    return descriptor


def write_json(path: str | os.PathLike, value: Any, **options: Any) -> None:
    """Writes `value` as JSON, whole or not at all. Raises InputError when it cannot be written."""
    with atomic_write(path) as file:
        json.dump(value, file, **options)


def read_json(path: str | os.PathLike) -> Any:
    """Reads one JSON file.

    Raises:
        InputError: the file is missing, unreadable, not UTF-8 or not JSON; the message names it.
    """
    path = Path(path)
    try:
        with open_regular(path, encoding="utf-8") as file:
            return json.load(file)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except (ValueError, RecursionError) as error:  # JSONDecodeError, or an integer of too many digits
        raise InputError(f"{path} is not valid JSON: {error}") from None
