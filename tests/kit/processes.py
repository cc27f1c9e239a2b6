"""Commands of this repository as processes."""

import os
import subprocess
import sys
from pathlib import Path

from .paths import ROOT


def start(*arguments: str | os.PathLike, **environment: str | os.PathLike) -> subprocess.Popen:
    """Python with these arguments, started; what it says, standard error in between, is read from its ``stdout``."""
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=os.environ | environment, **said)


def ended_well(process: subprocess.Popen) -> str:
    """What a process says to its end, which must be in order."""
    said = process.communicate()[0]
    assert process.returncode == 0, said
    return said


def run_python(*arguments: str | os.PathLike, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    """Python with these arguments, to its end."""
    own = {"cwd": cwd, "env": os.environ | environment, "capture_output": True, "text": True}
    return subprocess.run([sys.executable, *arguments], check=False, **own)
