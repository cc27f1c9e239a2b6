"""Scripts as a shell runs them, with a stand-in for Python or without."""

import os
import subprocess
from pathlib import Path

from tests.kit.paths import ROOT

OF_SCRIPTS = ("CKPT", "SWIN", "TOY", "DATA_ROOT", "NUM_GPUS", "QUIRKS")


def bash(script: str | Path, *arguments: str, cwd: Path, **environment: object) -> subprocess.CompletedProcess:
    """Runs a script, named from the folder of scripts, to its end; no variable of a job is set but these."""
    plain = {name: value for name, value in os.environ.items() if name not in OF_SCRIPTS and name[:6] != "SLURM_"}
    given = {name: str(value) for name, value in environment.items()}
    command = ["bash", ROOT / "scripts" / script, *arguments]
    return subprocess.run(command, cwd=cwd, env=plain | given, capture_output=True, text=True, timeout=300)
