"""A stand-in for SLURM: `srun` starts the tasks with the variables that SLURM gives them, `scontrol` keeps a record."""

import os
import subprocess
import sys
from pathlib import Path

_JOB = "SLURM_JOB_ID=40123 SLURM_JOB_NAME=dest SLURM_NODELIST=localhost SLURM_NODEID=0 SLURM_JOB_NUM_NODES=1"
_JOB += " SLURM_NNODES=1 SLURM_PROCID=0 SLURM_LOCALID=0 ENVIRONMENT=BATCH"
JOB = dict(word.split("=") for word in _JOB.split())
SRUN = f"""#!{sys.executable}
import os, subprocess, sys, time

words = sys.argv[1:]
while words[0].startswith("--"):
    words.pop(0)
with open(os.environ["FAKE_SLURM_RECORD"], "a") as record:
    print("srun", *sys.argv[1:3], file=record)
number = int(os.environ["SLURM_NTASKS"])
tasks = []
for rank in range(number):
    own = {{"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank), "SLURM_STEP_ID": "0"}}
    environment = {{**os.environ, **own, "SLURM_STEP_NUM_TASKS": str(number)}}
    tasks.append(subprocess.Popen(words, env=environment, start_new_session=True))
if "FAKE_SLURM_SIGNAL" in os.environ:  # --signal=USR1@120, to every process of the step
    import pathlib, signal
    while not list(pathlib.Path(os.environ["FAKE_SLURM_SIGNAL"]).glob("*/version_*/checkpoints/last.ckpt")):
        time.sleep(0.05)
    for task in tasks:
        os.killpg(task.pid, signal.SIGUSR1)
highest = 0
while tasks:
    for task in list(tasks):
        if (code := task.poll()) is not None:
            tasks.remove(task)
            highest = max(highest, code if code >= 0 else 128 - code)
            if code and "--kill-on-bad-exit=1" in sys.argv:
                for other in tasks:
                    os.killpg(other.pid, 9)
    time.sleep(0.05)
sys.exit(highest)
"""
SCONTROL = '#!/bin/sh\necho scontrol "$@" >>"$FAKE_SLURM_RECORD"\n'
SLEEP = "#!/bin/sh\nexec /bin/sleep 1\n"  # the grace of scripts/slurm.sh, shorter


def fake_slurm(folder: Path) -> dict[str, str]:
    """Makes the programs in a folder; returns the variables of a process that finds them."""
    folder.mkdir()
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL), ("sleep", SLEEP)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    mine = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    mine |= {"PATH": f"{folder}:{os.environ['PATH']}", "FAKE_SLURM_RECORD": str(folder / "record")}
    return mine | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}


def record(folder: Path) -> list[str]:
    path = folder / "record"
    return path.read_text().splitlines() if path.exists() else []


def run_in(job: dict[str, str], *command: str, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(command, env=job, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
