"""scripts/slurm_features.sh with stand-ins of sbatch and Python, which write down how they were called."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.kit.paths import ROOT

WORDS = ["VIDEOS", "OUT.h5", "--dataset", "anetqa"]


@pytest.fixture
def called(tmp_path):
    for name, says in (("sbatch", "echo '77;cluster'"), ("python", "")):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >> "{tmp_path}/calls"\n{says}\n')
        (tmp_path / name).chmod(0o755)

    def call(*words: str, cwd: Path = ROOT, **job: str) -> tuple[int, list[str]]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        environment = plain | {"PATH": f"{tmp_path}:{plain['PATH']}", "PYTHON": str(tmp_path / "python")} | job
        done = subprocess.run(["bash", ROOT / "scripts/slurm_features.sh", *words], cwd=cwd, env=environment)
        calls = tmp_path / "calls"
        return done.returncode, calls.read_text().splitlines() if calls.exists() else []

    return call


def test_the_joining_job_waits_for_all_shards(called):
    code, calls = called("3", *WORDS)
    script, words = ROOT / "scripts/slurm_features.sh", " ".join(WORDS)
    assert code == 0
    assert calls == [
        f"sbatch --parsable --array=0-2 {script} {words}",
        f"sbatch --dependency=afterok:77 --kill-on-invalid-dep=yes --gpus=0 {script} {words} --merge",
    ]


@pytest.mark.parametrize(
    ("job", "last"),
    [({"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "3"}, " --shard 1/3"), ({}, "")],
)
def test_a_task_has_its_shard(called, job, last):
    code, calls = called(*WORDS, SLURM_JOB_ID="77", **job)
    assert (code, calls) == (0, [f"python preproc/extract_features.py {' '.join(WORDS)}{last}"])


def test_mistakes_submit_nothing(called, tmp_path):
    assert called("0", *WORDS) == called("3", "VIDEOS") == called("3", *WORDS, cwd=tmp_path) == (2, [])
