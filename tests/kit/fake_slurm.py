"""A stand-in for SLURM: `srun` starts the tasks with the variables that SLURM gives them, `scontrol` keeps a record."""

import os
import subprocess
import sys
from pathlib import Path

_JOB = "SLURM_JOB_ID=40123 SLURM_JOB_NAME=dest SLURM_NODELIST=localhost SLURM_NODEID=0 SLURM_JOB_NUM_NODES=1"
_JOB += " SLURM_NNODES=1 SLURM_PROCID=0 SLURM_LOCALID=0 ENVIRONMENT=BATCH"
JOB = dict(word.split("=") for word in _JOB.split())
SRUN = """#!/bin/bash
echo "srun $1 $2" >>"$FAKE_SLURM_RECORD"
while [[ "$1" == --* ]]; do shift; done
export SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=$SLURM_NTASKS
for ((rank = 0; rank < SLURM_NTASKS; rank++)); do
    SLURM_PROCID=$rank SLURM_LOCALID=$rank setsid "$@" &
    tasks+=($!)
done
if [[ -n "$FAKE_SLURM_SIGNAL" ]]; then  # --signal=USR1@120, to every process of the step
    until compgen -G "$FAKE_SLURM_SIGNAL/*/version_*/checkpoints/last.ckpt" >/dev/null; do /bin/sleep 0.05; done
    kill -USR1 "${tasks[@]/#/-}"
fi
for task in "${tasks[@]}"; do wait "$task" || code=$?; done
exit "${code:-0}"
"""
SCONTROL = '#!/bin/sh\necho scontrol "$@" >>"$FAKE_SLURM_RECORD"\n'
SLEEP = "#!/bin/sh\nexec /bin/sleep 1\n"  # the grace of scripts/slurm.sh, shorter


def fake_slurm(folder: Path) -> dict[str, str]:
    """Makes the programs in a folder; returns the variables of a process that finds them."""
    folder.mkdir()
    for name, text in {"srun": SRUN, "scontrol": SCONTROL, "sleep": SLEEP, "record": ""}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    mine = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    mine |= {"PATH": f"{folder}:{os.environ['PATH']}", "FAKE_SLURM_RECORD": str(folder / "record")}
    return mine | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}


def record(folder: Path) -> list[str]:
    return (folder / "record").read_text().splitlines()


def run_in(job: dict[str, str], *command: str, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(command, env=job, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
