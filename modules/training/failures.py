"""Errors of libraries that a user can do something about, in the user's words."""

import contextlib
import errno
import os
import re
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from datasets.errors import InputError
from modules.models.memory import full_memory

from .stopping import StoppedError, StopSignals

# What the disk says of writing.
_WRITING = {getattr(errno, name) for name in ("ENOSPC", "EIO", "EROFS", "EDQUOT", "EACCES", "EPERM", "ESTALE")}
# How gloo says that it reads from nobody any more.
_LOST_RANK = re.compile(r"gloo.*(?:[Cc]onnection|[Tt]imed out|[Tt]imeout)|Connection (?:closed|reset) by peer")
# How PyTorch says that the first rank could not take the port where the others are to find it.
_PORT_TAKEN = re.compile(r"failed to (?:listen|bind).*?port: (\d+).*EADDRINUSE", re.DOTALL)


@contextlib.contextmanager
def explained(
    config: Mapping[str, Any], folder: Path | None = None, signals: StopSignals | None = None
) -> Iterator[None]:
    """Context in which errors become those of `explain`; what it does not know stays as it is.

    Args:
        signals: what asks to stop; ranks that were asked do not miss each other.
    """
    try:
        yield
    except Exception as error:
        if signals is not None and signals.received is not None and _is_of_ranks(error):
            raise StoppedError(f"stopped by {signals.received.name}") from error
        known = explain(error, config, folder)
        if known is None:
            raise
        raise known from error


def explain(error: Exception, config: Mapping[str, Any], folder: Path | None = None) -> InputError | None:
    """The error as one line with the way out, or None if it is none of those known here."""
    text = str(error)
    if isinstance(error, InputError):
        # Raised in a loader worker, it arrives with a traceback; its own last line is the message.
        inner = re.findall(r"InputError: (.+)", text)
        return InputError(inner[-1]) if inner else error
    if isinstance(error.__cause__, OSError):  # Lightning takes an error of TensorBoard's file for one of the value
        error = error.__cause__
    full = full_memory(error)
    if full == "GPU":
        return InputError(f"the GPU's memory is full; {_lower_memory(config)}")
    if full == "machine":
        return InputError(
            f"the machine's memory is full; lower num_workers (now {config['num_workers']}) or per_gpu_batchsize (now "
            f"{config['per_gpu_batchsize']}), or, if the network is larger than it was meant to be, its sizes"
        )
    if isinstance(error, RuntimeError) and "DataLoader worker" in text:
        cause = "bus error" if "bus error" in text.lower() else "killed"
        return InputError(
            f"a loader worker died ({cause}); if memory was short, lower num_workers (now {config['num_workers']}), "
            "or give the container more shared memory (docker run --shm-size)"
        )
    if isinstance(error, OSError | RuntimeError) and os.strerror(errno.EMFILE) in text:  # of a loader worker, too
        return InputError(
            f"too many open files; raise their limit (ulimit -n) or lower num_workers (now {config['num_workers']})"
        )
    if isinstance(error, BrokenPipeError):  # nobody reads the output any more: for `run_cli`
        return None
    if isinstance(error, OSError) and error.strerror:
        return InputError(f"{_where(error, folder)}{error.strerror}; files that were complete are unchanged")
    if port := _PORT_TAKEN.search(text):
        return InputError(
            f"port {port[1]} of this machine (MASTER_PORT), where the processes of the run are to meet, is taken, "
            "perhaps by another run; set MASTER_PORT to a free one, or unset it where num_nodes=1: a free one is then "
            "chosen"
        )
    if type(error).__module__.startswith("wandb."):
        return InputError(f"W&B: {text.rstrip('.')}; or write without a server: WANDB_MODE=offline")
    if _is_of_ranks(error):
        lines = [*getattr(error, "__notes__", []), *text.splitlines()]  # notes: which of them died, and how
        reason = next((line for line in lines if line.strip()), type(error).__name__)
        then = "start it again" if config["test_only"] else "continue with resume_from=last"
        return InputError(
            f"the processes of this run have lost each other ({reason[:200]}); if one of them ended with an error, it "
            f"stands above or in the log of its machine; mend that and {then}"
        )
    return None


def _where(error: OSError, folder: Path | None) -> str:
    """The file that an error of the disk is about, as the beginning of a message."""
    if error.filename:
        return f"{error.filename}: "
    if folder is None or error.errno not in _WRITING:
        return ""
    # TensorBoard writes in a thread of its own, and through a file object without a name.
    frames = traceback.extract_tb(error.__traceback__)
    of_board = any("tensorboard" in Path(frame.filename).parts for frame in frames)
    return f"cannot write {folder}/events.out.tfevents.*: " if of_board else f"cannot write in {folder}: "


def _is_of_ranks(error: Exception) -> bool:
    """True if it was raised because another process of the run is gone."""
    if isinstance(error, getattr(torch.distributed, "DistError", ())):
        return True
    return isinstance(error, RuntimeError) and _LOST_RANK.search(str(error)) is not None


def _lower_memory(config: Mapping[str, Any]) -> str:
    ways = [f"lower per_gpu_batchsize (now {config['per_gpu_batchsize']}"]
    if config["test_only"]:
        ways[0] += ")"
    else:
        ways[0] += f"; batch_size={config['batch_size']} is then reached by accumulation)"
        if not config["grad_checkpointing"]:
            ways.append("set grad_checkpointing=True")
    if config["precision"] in (32, "tf32"):
        ways.append("set precision=bf16")
    if config["objective"] != "trm":
        ways.append(f"lower nframe (now {config['nframe']})")
    return ", ".join(ways[:-1]) + f", or {ways[-1]}" if len(ways) > 1 else ways[0]
