"""Another process that has a file: locked as a writer here, or open as HDF5 has it."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from .paths import ROOT

_PROGRAM = """
import sys
from pathlib import Path
import h5py
from datasets.writing.locks import sole_writer
path, *share = sys.argv[2:]
with h5py.File(path, "r+", locking=True) if sys.argv[1] == "hdf5" else sole_writer(Path(path), "it", *map(int, share)):
    print(flush=True)
    input()
"""


def writer_elsewhere(path: Path, *share: int) -> contextlib.AbstractContextManager[subprocess.Popen]:
    """Holds the lock (`datasets.writing.locks.sole_writer`) meanwhile."""
    return _running("writer", path, *share)


def hdf5_elsewhere(path: Path) -> contextlib.AbstractContextManager[subprocess.Popen]:
    """Holds HDF5's own lock meanwhile: who asks for one is refused, as everybody is where there are no locks."""
    return _running("hdf5", path)


@contextlib.contextmanager
def _running(*arguments: object) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-c", _PROGRAM, *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    try:
        yield process
    finally:
        process.communicate(b"\n")
