"""Another process that has a file: locked as a writer here, or open as HDF5 has it."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from .paths import ROOT

_WRITER = """
import sys
from pathlib import Path
from datasets.writing.locks import sole_writer
share = int(sys.argv[2]) if len(sys.argv) > 2 else None
with sole_writer(Path(sys.argv[1]), "it", share):
    print(flush=True)
    input()
"""
_HDF5 = """
import sys
import h5py
with h5py.File(sys.argv[1], "r+", locking=True):
    print(flush=True)
    input()
"""


def writer_elsewhere(path: Path, *share: int) -> contextlib.AbstractContextManager[subprocess.Popen]:
    """Holds the lock (`datasets.writing.locks.sole_writer`) meanwhile."""
    return _running(_WRITER, path, *share)


def hdf5_elsewhere(path: Path) -> contextlib.AbstractContextManager[subprocess.Popen]:
    """Holds HDF5's own lock meanwhile: who asks for one is refused, as everybody is where there are no locks."""
    return _running(_HDF5, path)


@contextlib.contextmanager
def _running(program: str, *arguments: object) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    try:
        yield process
    finally:
        process.communicate(b"\n")
