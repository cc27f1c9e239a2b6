"""Errors of libraries in the user's words."""

import errno
import os
import signal
import socket
from pathlib import Path

import pytest
import torch
from torch.distributed import DistBackendError, DistNetworkError, TCPStore

from config import Config
from datasets.errors import InputError
from modules.training.failures import explain, explained
from modules.training.stopping import StoppedError, StopSignals

SETTINGS = vars(Config())
TEST = SETTINGS | {"test_only": True, "precision": 32, "objective": "trm"}
NCCL = (
    "NCCL error in: ../torch/csrc/distributed/c10d/NCCLUtils.cpp:77, unhandled cuda error (run with NCCL_DEBUG=INFO "
    "for details), NCCL version 2.27.5\nncclUnhandledCudaError: Call to CUDA function failed.\nLast error:\n"
)
FULL = (
    "CUDA error: out of memory\nmore",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`",
    f"{NCCL}Cuda failure 'out of memory'",
    f"{NCCL}Failed to CUDA calloc async 608 bytes",
)
GPU = "the GPU's memory is full; lower per_gpu_batchsize (now 8"
MACHINE = "the machine's memory is full; lower num_workers (now 8) or per_gpu_batchsize (now 8), or, if the network is"
FILES = "too many open files; raise their limit (ulimit -n) or lower num_workers (now 8)"
WORKER = "a loader worker died ({}); if memory was short, lower num_wo"
UNCHANGED = "; files that were complete are unchanged"
LOST = "[../gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:1234"
LOST_RANKS = "the processes of this run have lost each other ("


def of_system(number: int, *names: str) -> OSError:
    return OSError(number, os.strerror(number), *names)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError(), f"{GPU}; batch_size=64 is then reached by accumulation), set gr"),
        *((kind(text), GPU) for kind in (RuntimeError, DistBackendError) for text in FULL),
        (MemoryError(), MACHINE),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed"), WORKER.format("killed")),
        (RuntimeError("DataLoader worker (pid 7) is Bus error"), WORKER.format("bus error")),
        (of_system(errno.ENOSPC, "a/metrics.csv"), f"a/metrics.csv: No space left on device{UNCHANGED}"),
        (of_system(errno.ENOSPC), "cannot write in result/a: No space left"),
        (of_system(errno.EAGAIN), f"Resource temporarily unavailable{UNCHANGED}"),  # not about writing
        (of_system(errno.EMFILE, "a.png"), FILES),
        (OSError("Caught OSError in DataLoader worker process 0.\n[Errno 24] Too many open files: 'a'"), FILES),
        (RuntimeError("Too many open files. Communication with the workers is no longer possible."), FILES),
        (InputError('Caught InputError in worker 0.\n  File "x"\nInputError: a.png is cut'), "a.png is cut"),
        (RuntimeError(LOST), f"{LOST_RANKS}{LOST}); if one of them"),
        (DistBackendError("NCCL error\nmore"), f"{LOST_RANKS}NCCL error); if one of them"),
        (DistBackendError(f"{NCCL}Cuda failure 'an illegal memory access'"), LOST_RANKS),
    ],
)
def test_known_errors_are_a_line_with_the_way_out(error, said):
    line = str(explain(error, SETTINGS, Path("result/a")))
    assert line.startswith(said) and "\n" not in line


def test_ways_out_are_those_of_the_run():
    memory, lost = torch.OutOfMemoryError(), RuntimeError(LOST)
    assert str(explain(memory, SETTINGS)).endswith(", set grad_checkpointing=True, or lower nframe (now 16)")
    assert str(explain(memory, TEST)) == f"{GPU}), or set precision=bf16"
    assert str(explain(lost, TEST)).endswith("mend that and start it again")
    lost.add_note("rank 1 (process 7) was killed by SIGKILL")
    assert str(explain(lost, SETTINGS)).startswith(f"{LOST_RANKS}rank 1 (process 7) was killed by SIGKILL);")


def test_errors_as_pytorch_raises_them():
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(DistNetworkError) as caught:
            TCPStore("localhost", port, 2, is_master=True)
    said = f"port {port} of this machine (MASTER_PORT), where the processes of the run are to meet, is taken"
    assert str(explain(caught.value, SETTINGS)).startswith(said)
    for shape in ((1 << 32, 1 << 20), (1 << 32, 1 << 32)):  # more than there is, and more than can be
        with pytest.raises(InputError, match=r"^the machine's memory is full"), explained(SETTINGS):
            torch.empty(shape)


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), KeyError("x"), of_system(errno.EPIPE)])
def test_others_keep_their_traceback(error):
    assert explain(error, SETTINGS) is None
    with pytest.raises(type(error)) as caught, explained(SETTINGS):
        raise error
    assert caught.value is error


def test_ranks_that_were_asked_to_stop_do_not_miss_each_other():
    signals = StopSignals()
    signals.received = signal.SIGTERM
    with pytest.raises(StoppedError, match="stopped by SIGTERM"), explained(SETTINGS, signals=signals):
        raise RuntimeError(LOST)
