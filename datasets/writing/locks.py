"""One writer at a time: a lock on a file, which ends with the process that holds it, however that ends."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from datasets.errors import InputError


@contextlib.contextmanager
def sole_writer(path: Path, what: object, share: int | None = None) -> Iterator[bool]:
    """Keeps other processes out for as long as it lasts, or this process lives.

    Args:
        path: of the lock's file, in a folder that exists. It is removed at the end; one that a kill left blocks nobody.
        what: is written meanwhile, for the message.
        share: number of this process among several that may write side by side; None: it must be alone.

    Yields:
        whether others are kept out. File systems that know no locks (some Lustre and NFS mounts) let everybody in.

    Raises:
        InputError: another process writes, or the file cannot be made.
    """
    try:
        descriptor, locked = _open_locked(path, share)
    except BlockingIOError as error:
        raise InputError(f"{what} is being written by process {error}; wait for it or stop it") from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
        yield locked
    finally:
        # Not while others share it: whoever comes next would lock a new file, and not see them.
        with contextlib.suppress(OSError):
            if locked:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        os.close(descriptor)


def _open_locked(path: Path, share: int | None) -> tuple[int, bool]:
    """The file's descriptor, and whether it is locked. Raises BlockingIOError, which names the holder."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            with contextlib.suppress(OSError):
                os.fchmod(descriptor, 0o666)  # left by a kill, it must not block another user
            locked = _lock(descriptor, share)
            # Between the two steps, the holder before may have removed the file.
            if not locked or _is_named(descriptor, path):
                return descriptor, locked
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_named(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int, share: int | None) -> bool:
    try:
        # Not flock: processes that are forked would inherit it, and hold it after this one was killed.
        if share is None:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:  # the first byte is everybody's, one further on is this process's own
            fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, 0)
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 1 + share)
    except (BlockingIOError, PermissionError):  # which of the two, systems differ in
        holder = " on ".join(os.pread(descriptor, 300, 0).decode(errors="replace").split())
        raise BlockingIOError(holder or "unknown") from None
    except OSError:
        return False
    return True
