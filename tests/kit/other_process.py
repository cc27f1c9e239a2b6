"""Another process that has a file: locked as a writer here, or open as HDF5 has it."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

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


@contextlib.contextmanager
def _running(*arguments: object) -> Iterator[subprocess.Popen]:
    """Given a path (and a share), holds its lock meanwhile."""
    command = [sys.executable, "-c", _PROGRAM, *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process  # whose end of its input, on leaving, is its own


writer_elsewhere = partial(_running, "writer")  # `datasets.writing.locks.sole_writer`
hdf5_elsewhere = partial(_running, "hdf5")  # who asks for HDF5's own lock is refused, as all are where there are none
