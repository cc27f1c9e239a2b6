"""Checks of the settings against this machine, and whoever started this process on it: GPUs, torchrun, SLURM."""

import os
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from importlib.metadata import distributions
from typing import Any

from datasets.errors import refusing

# Names of a job in whose shell commands are typed by hand; Lightning takes such a job for a plain machine.
INTERACTIVE = ("bash", "interactive")


@refusing
def check_machine(config: Mapping[str, Any], num_gpus_here: int, environment: Mapping[str, str]) -> Iterator[str]:
    """Checks the settings of the machine against it.

    Args:
        environment: `os.environ`; says whether torchrun or SLURM started this process.
    """
    by_torchrun = "TORCHELASTIC_RUN_ID" in environment
    by_slurm = not by_torchrun and is_slurm_task(environment)
    if by_torchrun:
        _check_torchrun(config, environment)
    elif by_slurm:
        _check_slurm(config, environment)
    else:
        _check_plain(config, environment)
    accelerator, wanted = config["accelerator"], config["num_gpus"]
    on_gpu = accelerator == "gpu" or (accelerator == "auto" and num_gpus_here > 0)
    if accelerator == "gpu" and num_gpus_here == 0:
        yield "accelerator=gpu, but PyTorch finds no GPU here; write accelerator=cpu precision=32"
    if on_gpu and wanted > num_gpus_here and by_slurm:
        yield (
            f"num_gpus={wanted}, but each SLURM task sees only {num_gpus_here} of its machine's GPUs; ask for "
            f"--gpus-per-node={wanted} instead of --gpus-per-task or --gpu-bind: every task must see all of them"
        )
    if on_gpu and wanted > num_gpus_here:
        yield f"num_gpus={wanted}, but this machine has {num_gpus_here}; write num_gpus={num_gpus_here}"
    if not on_gpu and config["precision"] in (16, "tf32"):
        reason = "accelerator=cpu" if accelerator == "cpu" else "there is no GPU here"
        yield f"precision={config['precision']} needs a GPU, and {reason}; write precision=32 (or precision=bf16)"
    if config["logger"] != "tensorboard" and not any(distributions(name="wandb")):
        yield f"logger={config['logger']} needs W&B: pip install -r requirements-wandb.txt; or write logger=tensorboard"
    if config["compile"]:
        check_compiler(on_gpu, environment, "compile=True", "write compile=False")


def choose_precision(config: Mapping[str, Any], given: Collection[str], num_gpus_here: int) -> tuple[str, int | str]:
    """Device and precision of a command that uses one device; on the CPU, float32 unless another precision is given."""
    on_gpu = config["accelerator"] != "cpu" and num_gpus_here > 0
    precision = config["precision"] if on_gpu or "precision" in given else 32
    one = {"num_gpus": 1, "num_nodes": 1, "precision": precision, "compile": False}
    check_machine({**config, **one}, num_gpus_here, {})
    return "cuda" if on_gpu else "cpu", precision


@refusing
def check_compiler(on_gpu: bool, environment: Mapping[str, str], asked: str, instead: str) -> Iterator[str]:
    """Checks that torch.compile finds the compiler that it calls: C++, or on a GPU the C of Triton.

    Args:
        asked, instead: what asks for compilation, and what to write to do without it; for the message.
    """
    if sys.platform == "win32":
        return  # where it is Microsoft's, and not on the path
    language, variable, names = ("C", "CC", ("gcc", "clang")) if on_gpu else ("C++", "CXX", ("g++",))
    chosen = environment.get(variable)
    if any(shutil.which(name, path=environment.get("PATH")) for name in ([chosen] if chosen else names)):
        return
    missing = f"{variable}={chosen} is no program" if chosen else f"there is no {' or '.join(names)} on the path"
    yield (
        f"{asked} needs a {language} compiler, and {missing}: install one (Debian and Ubuntu: apt install g++), "
        f"set {variable} to one, or {instead}"
    )


def is_slurm_task(environment: Mapping[str, str]) -> bool:
    """True if SLURM started this process as one of a run's, as Lightning sees it.

    Not in a shell that SLURM gave somebody to type in: there a run starts its processes itself.
    """
    ours = "SLURM_NTASKS" in environment and "SLURM_PROCID" in environment
    return ours and environment.get("SLURM_JOB_NAME") not in INTERACTIVE


def takes_slurm_for_a_machine(environment: Mapping[str, str] = os.environ) -> bool:
    """True if Lightning has to be told that this is a plain machine.

    In the shell of an allocation with a name of its own (``salloc -J NAME``) SLURM has started no task.
    """
    return "SLURM_NTASKS" in environment and "SLURM_PROCID" not in environment


@refusing
def _check_torchrun(config: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[str]:
    processes = config["num_gpus"] * config["num_nodes"]
    if int(environment["WORLD_SIZE"]) != processes:
        yield (
            f"torchrun started {environment['WORLD_SIZE']} processes, but num_gpus={config['num_gpus']} × "
            f"num_nodes={config['num_nodes']} = {processes}; "
            "make --nproc-per-node equal to num_gpus, and --nnodes to num_nodes"
        )


@refusing
def _check_plain(config: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[str]:
    if int(environment.get("SLURM_STEP_NUM_TASKS", 1)) > 1 and environment.get("SLURM_JOB_NAME") in INTERACTIVE:
        yield (
            f"srun started {environment['SLURM_STEP_NUM_TASKS']} processes in an interactive job, and each would take "
            f"itself for a whole run; start it without srun, or with a job name of its own: SLURM_JOB_NAME=dest srun "
            f"--ntasks-per-node={config['num_gpus']} …"
        )
    if config["num_nodes"] > 1 and not {"NODE_RANK", "MASTER_ADDR"} & set(environment):
        yield (
            f"num_nodes={config['num_nodes']}: start the same command on every node by torchrun or srun "
            "(see docs/training.md), or write num_nodes=1"
        )


@refusing
def _check_slurm(config: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[str]:
    wanted, num_nodes = config["num_gpus"], config["num_nodes"]
    tasks = int(environment["SLURM_NTASKS"])
    per_node = environment.get("SLURM_NTASKS_PER_NODE")
    nodes = environment.get("SLURM_NNODES", str(num_nodes))
    started = f"SLURM was asked for {tasks} task{'s' * (tasks > 1)}" + (f", {per_node} a node" if per_node else "")
    settings = f"num_gpus={wanted} num_nodes={num_nodes}"
    ways = f"ask for a task for each GPU (--nodes={num_nodes} --ntasks-per-node={wanted} --gpus-per-node={wanted}) and "
    ways += "start them with srun"
    if num_nodes == 1:
        ways += ", or write SLURM_JOB_NAME=bash before python, without srun, and the run starts them itself"
    if tasks != wanted * num_nodes or int(per_node or wanted) != wanted or int(nodes) != num_nodes:
        yield f"{started}, on {nodes} node{'s' * (nodes != '1')}, but {settings} are set; {ways}"
    if per_node is None and tasks > 1:
        yield f"{started}, but not how many a node; {ways}"
    in_script = environment.get("ENVIRONMENT") == "BATCH" and "SLURM_STEP_ID" not in environment
    if in_script and tasks > 1:
        yield f"{started}, but this process was started without srun, and would wait for the others; {ways}"
