"""scripts/slurm.sh and run.py in simulated SLURM jobs, on processes of the CPU."""

import re
from pathlib import Path

import pytest

from tests.kit.captioned_world import WIDTH, WORDS, make_captioned_world
from tests.kit.fake_slurm import JOB, fake_slurm, record, run_in
from tests.kit.paths import ROOT
from tests.kit.small_world import SIZES, make_small_world, settings

TWO_TASKS = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_CPUS_PER_TASK": "1"}
QUICK = ["max_steps=2", "max_epoch=None", "val_check_interval=1", "warmup_steps=0", "per_gpu_batchsize=2"]


@pytest.fixture
def slurm(tmp_path) -> dict[str, str]:
    return fake_slurm(tmp_path / "bin")


@pytest.fixture
def world(tmp_path) -> Path:
    return make_small_world(tmp_path / "world", num_videos=4)


def script(job: dict[str, str], words: list[str], cwd: Path = ROOT):
    return run_in(job, "bash", str(ROOT / "scripts" / "slurm.sh"), *words[1:], cwd=cwd)


@pytest.mark.slow
def test_two_tasks_train_fine_tuning(slurm, world, tmp_path):
    done = script(slurm | JOB | TWO_TASKS, settings(world, *QUICK))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "batches per epoch on each of 2 devices" in done.stdout
    assert (world / "result/anetqa_seed0/version_0/checkpoints/last.ckpt").exists()
    assert record(tmp_path / "bin") == ["srun --cpus-per-task=1 --kill-on-bad-exit=1"]


@pytest.mark.slow
def test_two_tasks_train_trm(slurm, tmp_path):
    folder = make_captioned_world(tmp_path)
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "vocab.txt").write_text("\n".join(WORDS))
    words = ["with", "task_pretrain_trm", f"data_root={folder}", f"tokenizer={folder / 'tokenizer'}", "num_clips=3"]
    words += [f"log_dir={folder / 'result'}", "accelerator=cpu", "precision=32", "num_workers=0", "answer_encoder="]
    words += ["batch_size=4", "val_questions=4", *SIZES, "max_text_len=8", *QUICK, f"input_video_embed_size={WIDTH}"]
    done = script(slurm | JOB | TWO_TASKS, words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "result/trm_seed0/version_0/checkpoints/last.ckpt").exists()


def test_stopped_before_the_time_is_up_requeued_and_continued(slurm, world, tmp_path):
    words = settings(world, *QUICK, "checkpoint_steps=1", "max_steps=12", "val_check_interval=6")
    job = slurm | JOB | TWO_TASKS
    stopped = script(job | {"FAKE_SLURM_SIGNAL": str(world / "result")}, words)
    assert stopped.returncode == 75, stopped.stdout + stopped.stderr
    assert record(tmp_path / "bin")[1:] == ["scontrol requeue 40123"]
    assert re.search(r"stopped by SIGUSR1 after step \d+; continue with", stopped.stdout)
    again = script(job | {"SLURM_RESTART_COUNT": "1"}, words)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "steps in all, continuing after step" in again.stdout
    assert record(tmp_path / "bin")[2:] == ["srun --cpus-per-task=1 --kill-on-bad-exit=1"]
    assert [path.name for path in (world / "result/anetqa_seed0").iterdir()] == ["version_0"]


def test_requeued_before_the_first_checkpoint_it_starts_anew(slurm, world):
    (world / "result/anetqa_seed0/version_0").mkdir(parents=True)
    one = {"SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1", "SLURM_RESTART_COUNT": "1"}
    done = script(slurm | JOB | one, settings(world, *QUICK))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"resume_from=auto: nothing to resume in {world / 'result/anetqa_seed0'}; starting anew" in done.stdout
    assert (world / "result/anetqa_seed0/version_1/checkpoints/last.ckpt").exists()


def test_a_run_that_fails_is_not_requeued(slurm, tmp_path):
    for code in (2, 1, 137):
        one = {"SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1", "PYTHON": str(tmp_path / "python")}
        (tmp_path / "python").write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / "python").chmod(0o755)
        assert script(slurm | JOB | one, ["with", "task_pretrain_trm"]).returncode == code
    assert not [line for line in record(tmp_path / "bin") if "requeue" in line]


def test_elsewhere_than_in_the_root(slurm, tmp_path):
    copy = tmp_path / "slurm_script"  # as SLURM keeps it
    copy.write_bytes((ROOT / "scripts" / "slurm.sh").read_bytes())
    done = run_in(slurm | JOB | TWO_TASKS, "bash", str(copy), "task_pretrain_trm", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path} is not the repository's root; call sbatch there")
    shown = slurm | JOB | TWO_TASKS | {"PYTHON": "echo"}
    done = run_in(shown, "bash", str(copy), "task_pretrain_trm", cwd=ROOT)
    line = f"{ROOT}/run.py with num_gpus=2 num_nodes=1 task_pretrain_trm"
    assert (done.returncode, done.stdout.splitlines()) == (0, [line, line])


def test_without_slurm(slurm):
    done = script(slurm, ["with", "task_pretrain_trm"])
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "sbatch scripts/slurm.sh RECIPE" in done.stderr


@pytest.mark.parametrize(
    "job",
    [
        {"SLURM_NTASKS": "1"},
        {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"},  # without srun
    ],
)
def test_tasks_that_do_not_fit_are_one_line_before_anything_loads(slurm, world, job):
    words = settings(world, "num_gpus=2", "per_gpu_batchsize=2")
    done = run_in(slurm | JOB | job, slurm["PYTHON"], "run.py", *words, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"error: SLURM was asked for .*; ask for a task for each GPU .*, or write .*\n", done.stderr)
    assert not (world / "result").exists()


@pytest.mark.parametrize("name", ["bash", pytest.param("interactive", marks=pytest.mark.slow)])
def test_interactive_shell_is_a_plain_machine(slurm, world, name):
    job = slurm | JOB | {"SLURM_JOB_NAME": name, "SLURM_NTASKS": "1", "SLURM_STEP_NUM_TASKS": "1"}
    done = run_in(job, slurm["PYTHON"], "run.py", *settings(world, *QUICK, "num_gpus=2"), cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert "batches per epoch on each of 2 devices" in done.stdout


@pytest.mark.slow
def test_shell_of_a_named_allocation_is_a_plain_machine(slurm, world):
    """`salloc -J mine`: SLURM has started no task."""
    job = slurm | {"SLURM_JOB_ID": "40123", "SLURM_JOB_NAME": "mine", "SLURM_NTASKS": "1", "SLURM_NNODES": "1"}
    done = run_in(job, slurm["PYTHON"], "run.py", *settings(world, *QUICK, "num_gpus=2"), cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert "batches per epoch on each of 2 devices" in done.stdout


def test_torchrun(slurm, world):
    command = [slurm["PYTHON"], "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29611", "run.py"]
    one_task = {"SLURM_NTASKS": "1"}  # as a job that torchrun shares out
    done = run_in(slurm | JOB | one_task, *command, *settings(world, *QUICK, "num_gpus=2"), cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "batches per epoch on each of 2 devices" in done.stdout
    assert [path.name for path in (world / "result/anetqa_seed0").iterdir()] == ["version_0"]
