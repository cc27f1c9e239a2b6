"""Commands of this repository as processes."""

import os
import subprocess
import sys
from pathlib import Path

from .paths import ROOT


def start(script: str, *arguments: str | os.PathLike, **environment: str | os.PathLike) -> subprocess.Popen:
    """A script of the repository, started; what it says, standard error in between, is read from its ``stdout``."""
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    return subprocess.Popen([sys.executable, script, *arguments], cwd=ROOT, env=os.environ | environment, **said)


def ended_well(process: subprocess.Popen) -> str:
    """What a process says to its end, which must be in order."""
    said = process.communicate()[0]
    assert process.returncode == 0, said
    return said


def run_python(*arguments: str | os.PathLike, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    """Python with these arguments, to its end."""
    command, env = [sys.executable, *arguments], os.environ | environment
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
