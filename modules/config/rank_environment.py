"""Rank of this process in its run, read from environment variables: what another job has left there is refused."""

import os
from collections.abc import Mapping

from datasets.errors import InputError

FIRST_RANK = "DEST_FIRST_RANK_PID"  # set by the first rank for those that it starts


def is_first_rank() -> bool:
    """True for the first process of all machines, by its environment: asked before the ranks know of each other."""
    rank = next((os.environ[name] for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID") if name in os.environ), "0")
    return rank == "0" and os.environ.get("NODE_RANK", "0") == "0"


def check_ranks(num_gpus: int, num_nodes: int, environment: Mapping[str, str]) -> None:
    """Checks that the variables fit the processes that the settings ask for.

    A process that takes itself for another than the first trains without a log, and keeps nobody out of its folder.
    torchrun and the first rank set them on purpose; SLURM's scripts may set ``RANK`` to the task's number.

    Raises:
        InputError: they do not fit.
    """
    if "TORCHELASTIC_RUN_ID" in environment or environment.get(FIRST_RANK) == str(os.getppid()):
        return
    processes = num_gpus * num_nodes
    limits = {"RANK": processes, "LOCAL_RANK": num_gpus, "NODE_RANK": num_nodes, "GROUP_RANK": num_nodes}
    unfit = [name for name, limit in limits.items() if not _is_below(environment.get(name, "0"), limit)]
    if environment.get("WORLD_SIZE", str(processes)) != str(processes):
        unfit.append("WORLD_SIZE")
    # Whoever starts every process himself tells them where to meet. Otherwise this one starts the others, as the first.
    alone = "SLURM_PROCID" not in environment and "MASTER_PORT" not in environment and processes > 1
    if alone and "LOCAL_RANK" in environment:
        unfit.append("LOCAL_RANK")
    if alone and environment.get("RANK", "0") != "0":
        unfit.append("RANK")
    if unfit:
        named = " ".join(f"{name}={environment[name]}" for name in dict.fromkeys(unfit))
        raise InputError(
            f"the environment says {named}, which does not fit num_gpus={num_gpus} num_nodes={num_nodes}; if another "
            "job has left it there: unset RANK LOCAL_RANK WORLD_SIZE NODE_RANK GROUP_RANK; to start the processes "
            "yourself, use torchrun, or give each MASTER_ADDR and MASTER_PORT, too"
        )


def _is_below(text: str, limit: int) -> bool:
    return text.isdecimal() and int(text) < limit
