"""scripts/slurm.sh, slurm_features.sh and run.py in simulated SLURM jobs, on processes of the CPU."""

import os
import re
from pathlib import Path

import pytest

from tests.kit.fake_slurm import JOB, fake_slurm, record, run_in
from tests.kit.paths import ROOT
from tests.kit.small_world import make_small_world, settings

from .conftest import bash

ONE_TASK = {"SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1"}
TWO_TASKS = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_CPUS_PER_TASK": "1"}
QUICK = ["max_steps=2", "max_epoch=None", "val_check_interval=1", "warmup_steps=0", "per_gpu_batchsize=2"]
TRM = "task_pretrain_trm"


@pytest.fixture
def slurm(tmp_path) -> dict[str, str]:
    return fake_slurm(tmp_path / "bin")


@pytest.fixture
def world(tmp_path) -> Path:
    return make_small_world(tmp_path / "world", num_videos=4)


def script(job: dict[str, str], *words: str, cwd: Path = ROOT, path: Path = ROOT / "scripts" / "slurm.sh"):
    return run_in(job, "bash", str(path), *words, cwd=cwd)


def test_stopped_before_the_time_is_up_requeued_and_continued(slurm, world, tmp_path):
    """Two tasks; requeued before the first checkpoint, a run starts anew."""
    runs, srun = world / "result" / "anetqa_seed0", "srun --cpus-per-task=1 --kill-on-bad-exit=1"
    (runs / "version_0").mkdir(parents=True)
    words = settings(world, *QUICK, "checkpoint_steps=1", "max_steps=12", "val_check_interval=6")[1:]
    job = slurm | JOB | TWO_TASKS | {"SLURM_RESTART_COUNT": "1"}
    stopped = script(job | {"FAKE_SLURM_SIGNAL": str(world / "result")}, *words)
    assert stopped.returncode == 75, stopped.stdout + stopped.stderr
    assert f"resume_from=auto: nothing to resume in {runs}; starting anew" in stopped.stdout
    assert "batches per epoch on each of 2 devices" in stopped.stdout
    assert record(tmp_path / "bin") == [srun, "scontrol requeue 40123"]
    assert re.search(r"stopped by SIGUSR1 after step \d+; continue with", stopped.stdout)
    again = script(job, *words)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "steps in all, continuing after step" in again.stdout and record(tmp_path / "bin")[2:] == [srun]
    assert sorted(path.name for path in runs.iterdir()) == ["version_0", "version_1"]


def test_a_run_that_fails_is_not_requeued(slurm, program, tmp_path):
    for code in (2, 137):
        job = slurm | JOB | ONE_TASK | {"PYTHON": str(program(f"exit {code}"))}
        assert script(job, TRM).returncode == code and "requeue" not in "".join(record(tmp_path / "bin"))


def test_elsewhere_than_in_the_root(slurm, tmp_path):
    copy = tmp_path / "slurm_script"  # as SLURM keeps it
    copy.write_bytes((ROOT / "scripts" / "slurm.sh").read_bytes())
    job = slurm | JOB | TWO_TASKS | {"PYTHON": "echo"}
    done = script(job, TRM, cwd=tmp_path, path=copy)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path} is not the repository's root; call sbatch there")
    line = f"{ROOT}/run.py with num_gpus=2 num_nodes=1 task_pretrain_trm\n"
    assert script(job, TRM, path=copy).stdout == 2 * line


@pytest.mark.parametrize(
    ("job", "launcher"),
    [
        ({"SLURM_STEP_NUM_TASKS": "1", "SLURM_JOB_NAME": "bash"}, ""),
        ({}, "-m torch.distributed.run --nproc-per-node=2 --master-port=29611"),
    ],
)
def test_a_shell_and_torchrun_start_their_own_processes(slurm, world, job, launcher):
    words, job = settings(world, *QUICK, "num_gpus=2"), JOB | {"SLURM_NTASKS": "1"} | job
    done = run_in(slurm | job, slurm["PYTHON"], *launcher.split(), "run.py", *words, cwd=ROOT)
    assert done.returncode == 0 and "batches per epoch on each of 2 devices" in done.stdout, done.stdout + done.stderr
    assert [path.name for path in (world / "result/anetqa_seed0").iterdir()] == ["version_0"]


def test_features_in_shards(program, tmp_path):
    """One job for all shards, and one that joins them when they are done; mistakes submit nothing."""
    calls, script = tmp_path / "calls", ROOT / "scripts/slurm_features.sh"
    program(f"echo sbatch \"$@\" >> {calls}; echo '77;cluster'", "sbatch")
    python, words = program(f'echo python "$@" >> {calls}'), "VIDEOS OUT.h5 --dataset anetqa"

    def call(arguments: str, cwd: Path = ROOT, **job: str) -> tuple[int, list[str]]:
        calls.write_text("")
        job |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHON": str(python)}
        code = bash("slurm_features.sh", *arguments.split(), cwd=cwd, **job).returncode
        return code, calls.read_text().splitlines()

    first = f"sbatch --parsable --array=0-2 {script} {words}"
    second = f"sbatch --dependency=afterok:77 --kill-on-invalid-dep=yes --gpus=0 {script} {words} --merge"
    assert call(f"3 {words}") == (0, [first, second])
    task = f"python preproc/extract_features.py {words} --shard 1/3"
    array = {"SLURM_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "3"}
    assert call(words, **array) == (0, [task])
    assert call(f"0 {words}") == call("3 VIDEOS") == call(f"3 {words}", cwd=tmp_path) == (2, [])
