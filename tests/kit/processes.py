"""Commands of this repository as processes."""

import os
import subprocess
import sys
from pathlib import Path

from .paths import ROOT


def start(script: str, *arguments: str | os.PathLike, **environment: str | os.PathLike) -> subprocess.Popen:
    """A script of the repository, started; what it says, standard error in between, is read from its ``stdout``."""
    return subprocess.Popen(
        [sys.executable, script, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def ended_well(process: subprocess.Popen) -> str:
    """What a process says to its end, which must be in order."""
    said = process.communicate()[0]
    assert process.returncode == 0, said
    return said


def run_python(*arguments: str | os.PathLike, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    """Python with these arguments, to its end."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False
    )
