"""GPUs, torchrun and SLURM: what does not go together with the settings is one line with the way out."""

from dataclasses import asdict

import pytest

from config import Config
from datasets.errors import InputError
from modules.config import machine_checks
from modules.config.machine_checks import check_compiler, check_machine, choose_precision, takes_slurm_for_a_machine

DEFAULTS = asdict(Config())
CPU = {"accelerator": "cpu", "precision": 32}
ONE_TASK = {
    "SLURM_JOB_ID": "1234",
    "SLURM_JOB_NAME": "dest",
    "SLURM_NTASKS": "1",
    "SLURM_NNODES": "1",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
}
TWO_TASKS = ONE_TASK | {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_STEP_ID": "0"}
SHELL = ONE_TASK | {"SLURM_JOB_NAME": "bash", "SLURM_STEP_NUM_TASKS": "1"}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "4"}
WAYS = (
    "ask for a task for each GPU (--nodes=1 --ntasks-per-node=2 --gpus-per-node=2) and start them with srun, "
    "or write SLURM_JOB_NAME=bash before python, without srun, and the run starts them itself"
)


def message(changes: dict, num_gpus_here: int = 0, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        check_machine(DEFAULTS | changes, num_gpus_here, environment or {})
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"accelerator": "gpu"}, "accelerator=gpu, but PyTorch finds no GPU here; write accelerator=cpu precision=32"),
        (
            {"precision": 16, "accelerator": "cpu"},
            "precision=16 needs a GPU, and accelerator=cpu; write precision=32 (or precision=bf16)",
        ),
        ({"precision": "tf32", "accelerator": "cpu"}, "precision=tf32 needs a GPU, and accelerator=cpu"),
        ({"precision": 16, "accelerator": "auto"}, "precision=16 needs a GPU, and there is no GPU here"),
        (
            {**CPU, "num_nodes": 2},
            "num_nodes=2: start the same command on every node by torchrun or srun (see docs/training.md)",
        ),
    ],
)
def test_one_machine(changes, said):
    assert said in message(changes)


def test_no_wandb_here(monkeypatch):
    monkeypatch.setattr(machine_checks, "distributions", lambda name: [])
    said = "logger=both needs W&B: pip install -r requirements-wandb.txt; or write logger=tensorboard"
    assert message({**CPU, "logger": "both"}) == said
    check_machine(DEFAULTS | CPU, 0, {})


def test_more_gpus_than_there_are():
    assert message({"num_gpus": 8}, 2) == "num_gpus=8, but this machine has 2; write num_gpus=2"


@pytest.mark.parametrize("in_slurm", [{}, ONE_TASK])
def test_torchrun_that_started_another_number(in_slurm):
    assert "make --nproc-per-node equal to num_gpus" in message({**CPU, "num_gpus": 2}, 0, in_slurm | TORCHRUN)
    check_machine(DEFAULTS | CPU | {"num_gpus": 2, "num_nodes": 2}, 0, in_slurm | TORCHRUN)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (ONE_TASK, "SLURM was asked for 1 task, on 1 node, but num_gpus=2 num_nodes=1 are set; "),
        (
            ONE_TASK | {"SLURM_NTASKS_PER_NODE": "1"},
            "SLURM was asked for 1 task, 1 a node, on 1 node, but num_gpus=2 num_nodes=1 are set; ",
        ),
        (
            TWO_TASKS | {"SLURM_NTASKS_PER_NODE": "1", "SLURM_NNODES": "2"},
            "SLURM was asked for 2 tasks, 1 a node, on 2 nodes, but num_gpus=2 num_nodes=1 are set; ",
        ),
        (ONE_TASK | {"SLURM_NTASKS": "2"}, "SLURM was asked for 2 tasks, but not how many a node; "),
        (
            {**TWO_TASKS, "ENVIRONMENT": "BATCH", "SLURM_STEP_ID": ""} | {"SLURM_STEP_ID": None},
            "SLURM was asked for 2 tasks, 2 a node, but this process was started without srun",
        ),
    ],
)
def test_slurm_tasks_that_do_not_fit(environment, said):
    environment = {name: value for name, value in environment.items() if value is not None}
    for found in (0, 2):
        told = message({"num_gpus": 2, "precision": 32}, found, environment)
        assert told.startswith(said)
        assert told.endswith(WAYS)


def test_on_several_nodes_there_is_one_way():
    assert message({**CPU, "num_nodes": 2}, 0, ONE_TASK).endswith("--gpus-per-node=1) and start them with srun")


def test_one_gpu_per_task():
    """Advice to lower num_gpus would be wrong."""
    assert message({"num_gpus": 2}, 1, TWO_TASKS) == (
        "num_gpus=2, but each SLURM task sees only 1 of its machine's GPUs; ask for --gpus-per-node=2 instead of "
        "--gpus-per-task or --gpu-bind: every task must see all of them"
    )


def test_srun_in_an_interactive_job_would_start_whole_runs():
    said = message({**CPU, "num_gpus": 2}, 0, SHELL | {"SLURM_STEP_NUM_TASKS": "2"})
    assert said.startswith("srun started 2 processes in an interactive job")
    assert "SLURM_JOB_NAME=dest srun --ntasks-per-node=2" in said


def test_several_nodes_from_an_interactive_shell():
    assert "num_nodes=2: start the same command on every node" in message({**CPU, "num_nodes": 2}, 0, SHELL)


@pytest.mark.parametrize(
    ("changes", "environment"),
    [
        ({"num_gpus": 2}, {}),
        ({"num_gpus": 2}, SHELL),
        ({"num_gpus": 2}, SHELL | {"SLURM_JOB_NAME": "interactive", "SLURM_NTASKS": "8"}),
        ({"num_gpus": 2}, TWO_TASKS),
        ({"num_gpus": 2}, {"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "mine", "SLURM_NTASKS": "1"}),  # salloc -J mine
        ({"num_gpus": 1}, ONE_TASK),
        ({"num_gpus": 2, "num_nodes": 2}, TWO_TASKS | {"SLURM_NTASKS": "4", "SLURM_NNODES": "2"}),
        ({"num_gpus": 2, "num_nodes": 2}, TORCHRUN),
        ({"num_gpus": 2, "num_nodes": 2}, {"NODE_RANK": "1", "MASTER_ADDR": "first"}),
    ],
)
def test_what_is_right_passes(changes, environment):
    check_machine(DEFAULTS | CPU | changes, 0, environment)
    check_machine(DEFAULTS | changes, 2, environment)


def test_allocation_without_a_task_is_a_plain_machine():
    assert takes_slurm_for_a_machine({"SLURM_JOB_NAME": "mine", "SLURM_NTASKS": "1"})
    assert not takes_slurm_for_a_machine(TWO_TASKS)
    assert not takes_slurm_for_a_machine({})


class TestCompiler:
    @pytest.mark.parametrize("on_gpu", [False, True])
    def test_none(self, tmp_path, on_gpu):
        with pytest.raises(InputError) as caught:
            check_compiler(on_gpu, {"PATH": str(tmp_path)}, "compile=True", "write compile=False")
        language, names, variable = ("C", "gcc or clang", "CC") if on_gpu else ("C++", "g++", "CXX")
        assert str(caught.value) == (
            f"compile=True needs a {language} compiler, and there is no {names} on the path: install one (Debian and "
            f"Ubuntu: apt install g++), set {variable} to one, or write compile=False"
        )

    @pytest.mark.parametrize(("on_gpu", "variable", "name"), [(False, "CXX", "g++"), (True, "CC", "clang")])
    def test_found_on_the_path_or_named(self, tmp_path, on_gpu, variable, name):
        for program in (name, "own"):
            (tmp_path / program).write_text("")
            (tmp_path / program).chmod(0o755)
        check_compiler(on_gpu, {"PATH": str(tmp_path)}, "", "")
        check_compiler(on_gpu, {"PATH": "", variable: str(tmp_path / "own")}, "", "")
        with pytest.raises(InputError, match=f"{variable}=nowhere is no program"):
            check_compiler(on_gpu, {"PATH": str(tmp_path), variable: "nowhere"}, "", "")

    def test_of_a_run(self, tmp_path):
        assert "compile=True needs a C++ compiler" in message({**CPU, "compile": True}, 0, {"PATH": str(tmp_path)})


class TestChoosePrecision:
    def test_float32_on_a_cpu_if_nothing_else_is_given(self):
        assert choose_precision(DEFAULTS, [], num_gpus_here=0) == ("cpu", 32)
        given = DEFAULTS | {"precision": "bf16", "num_gpus": 8}
        assert choose_precision(given, ["precision", "num_gpus"], num_gpus_here=0) == ("cpu", "bf16")
        assert choose_precision(DEFAULTS, [], num_gpus_here=1) == ("cuda", 16)

    def test_what_a_machine_cannot_do(self):
        with pytest.raises(InputError, match="precision=16 needs a GPU"):
            choose_precision(DEFAULTS, ["precision"], num_gpus_here=0)
        with pytest.raises(InputError, match="PyTorch finds no GPU here"):
            choose_precision(DEFAULTS | {"accelerator": "gpu"}, [], num_gpus_here=0)
