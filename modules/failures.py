"""Errors of libraries that a user can do something about, in the user's words."""

import re
from collections.abc import Mapping
from typing import Any

import torch

from datasets.errors import InputError


def explain(error: Exception, config: Mapping[str, Any]) -> InputError | None:
    """The error as one line with the way out, or None if it is none of those known here.

    Args:
        error: what ended the run.
        config: its settings.
    """
    text = str(error)
    if isinstance(error, InputError):
        # Raised in a loader worker, it arrives with a traceback; its own last line is the message.
        inner = re.findall(r"InputError: (.+)", text)
        return InputError(inner[-1]) if inner else error
    if isinstance(error, torch.OutOfMemoryError):
        return InputError(f"the GPU's memory is full; {_lower_memory(config)}")
    if isinstance(error, MemoryError):
        return InputError(f"the machine's memory is full; lower num_workers (now {config['num_workers']})")
    if isinstance(error, RuntimeError) and "DataLoader worker" in text:
        cause = "bus error" if "bus error" in text.lower() else "killed"
        return InputError(
            f"a loader worker died ({cause}); if memory was short, lower num_workers (now {config['num_workers']}), "
            "or give the container more shared memory (docker run --shm-size)"
        )
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return InputError(f"{where}{error.strerror}; what was whole before is whole still")
    return None


def _lower_memory(config: Mapping[str, Any]) -> str:
    ways = [f"lower per_gpu_batchsize (now {config['per_gpu_batchsize']}"]
    if config["test_only"]:
        ways[0] += ")"
    else:
        ways[0] += f"; batch_size={config['batch_size']} is then reached by accumulation)"
        if not config["grad_checkpointing"]:
            ways.append("set grad_checkpointing=True")
    if config["precision"] == 32:
        ways.append("set precision=bf16")
    if config["objective"] == "qa":
        ways.append(f"lower nframe (now {config['nframe']})")
    return ", ".join(ways[:-1]) + f", or {ways[-1]}" if len(ways) > 1 else ways[0]
