"""GPUs, torchrun and SLURM: what does not go together with the settings is one line with the way out."""

import re
from dataclasses import asdict

import pytest

from config import Config
from datasets.errors import InputError
from modules.config.machine_checks import check_machine, choose_precision, takes_slurm_for_a_machine

DEFAULTS = asdict(Config())
CPU = {"accelerator": "cpu", "precision": 32}
TWO = {"num_gpus": 2, "precision": 32}
TWO_NODES = {"num_nodes": 2, "precision": 32}
ONE_TASK = {"SLURM_JOB_NAME": "dest", "SLURM_NTASKS": "1", "SLURM_NNODES": "1", "SLURM_PROCID": "0"}
TWO_TASKS = ONE_TASK | {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_STEP_ID": "0"}
APART = TWO_TASKS | {"SLURM_NTASKS_PER_NODE": "1"}
BATCH = ONE_TASK | {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "ENVIRONMENT": "BATCH"}
SHELL = ONE_TASK | {"SLURM_JOB_NAME": "bash", "SLURM_STEP_NUM_TASKS": "1"}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "4"}
WAY = r"ask for a task for each GPU \(--nodes=1 --ntasks-per-node=2 --gpus-per-node=2\) and start them with srun, "
WAY += "or write SLURM_JOB_NAME=bash before python, without srun, and the run starts them itself"
SET = f"but num_gpus=2 num_nodes=1 are set; {WAY}$"
NODES = "num_nodes=2: start the same command on every node by torchrun or srun"


@pytest.mark.parametrize(
    ("changes", "here", "environment", "said"),
    [
        ({"accelerator": "gpu"}, 0, {}, "=gpu, but PyTorch finds no GPU here; write accelerator=cpu precision=32$"),
        (CPU | {"precision": 16}, 0, {}, r"=16 needs a GPU, and accelerator=cpu; write precision=32 \(or precision=bf"),
        ({"num_gpus": 8}, 2, {}, "^num_gpus=8, but this machine has 2; write num_gpus=2$"),
        (TWO_NODES, 0, SHELL, NODES),
        (CPU | {"compile": True}, 0, {"PATH": ""}, r"^compile=True needs a C\+\+ compiler, .* write compile=False$"),
        (TWO, 0, ONE_TASK | TORCHRUN, "make --nproc-per-node equal to num_gpus"),
        (TWO, 0, ONE_TASK, f"^SLURM was asked for 1 task, on 1 node, {SET}"),
        (TWO, 2, APART, f"2 tasks, 1 a node, on 1 node, {SET}"),
        (TWO, 0, ONE_TASK | {"SLURM_NTASKS": "2"}, f"asked for 2 tasks, but not how many a node; {WAY}$"),
        (TWO, 0, BATCH, f"2 tasks, 2 a node, but this process was started without srun, and would .*; {WAY}$"),
        (TWO, 1, TWO_TASKS, "each SLURM task sees only 1 of its machine's GPUs; ask for --gpus-per-node=2 instead"),
        (TWO, 0, SHELL | {"SLURM_STEP_NUM_TASKS": "2"}, "^srun started 2 processes in an .* srun --ntasks-per-node=2"),
    ],
)
def test_what_does_not_fit(changes, here, environment, said):
    with pytest.raises(InputError) as caught:
        check_machine(DEFAULTS | changes, here, environment)
    assert re.search(said, str(caught.value)) and "\n" not in str(caught.value), caught.value


@pytest.mark.parametrize(
    ("num_gpus", "num_nodes", "environment"),
    [
        (2, 1, {}),
        (2, 1, SHELL | {"SLURM_JOB_NAME": "interactive", "SLURM_NTASKS": "8"}),
        (2, 1, TWO_TASKS),
        (2, 1, {"SLURM_JOB_NAME": "mine", "SLURM_NTASKS": "1"}),  # salloc -J mine
        (1, 1, ONE_TASK),
        (2, 2, TWO_TASKS | {"SLURM_NTASKS": "4", "SLURM_NNODES": "2"}),
        (2, 2, ONE_TASK | TORCHRUN),
        (2, 2, {"NODE_RANK": "1", "MASTER_ADDR": "first"}),
    ],
)
def test_what_is_right_passes(num_gpus, num_nodes, environment):
    config = DEFAULTS | {"num_gpus": num_gpus, "num_nodes": num_nodes}
    check_machine(config | CPU, 0, environment)
    check_machine(config, 2, environment)
    assert takes_slurm_for_a_machine(environment) == (environment.get("SLURM_JOB_NAME") == "mine")


def test_float32_on_a_cpu_if_nothing_else_is_given():
    assert choose_precision(DEFAULTS, [], num_gpus_here=0) == ("cpu", 32)
    given = DEFAULTS | {"precision": "bf16", "num_gpus": 8}
    assert choose_precision(given, given, num_gpus_here=0) == ("cpu", "bf16")
    assert choose_precision(DEFAULTS, [], num_gpus_here=1) == ("cuda", 16)
