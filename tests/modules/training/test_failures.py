import errno
import os
import signal
import socket
from pathlib import Path

import pytest
import tensorboard
import torch

from config import Config
from datasets.errors import InputError
from modules.training.failures import explain, explained
from modules.training.stopping import StoppedError, StopSignals

SETTINGS = vars(Config())
NCCL = (
    "NCCL error in: ../torch/csrc/distributed/c10d/NCCLUtils.cpp:77, unhandled cuda error (run with NCCL_DEBUG=INFO "
    "for details), NCCL version 2.27.5\nncclUnhandledCudaError: Call to CUDA function failed.\nLast error:\n"
)


def test_gpu_memory():
    said = str(explain(torch.OutOfMemoryError("CUDA out of memory"), SETTINGS))
    assert said == (
        "the GPU's memory is full; lower per_gpu_batchsize (now 8; batch_size=64 is then reached by accumulation), "
        "set grad_checkpointing=True, or lower nframe (now 16)"
    )
    said = str(explain(torch.OutOfMemoryError(), SETTINGS | {"test_only": True, "precision": 32, "objective": "trm"}))
    assert said == "the GPU's memory is full; lower per_gpu_batchsize (now 8), or set precision=bf16"


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: out of memory\nmore",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`",
        f"{NCCL}Cuda failure 'out of memory'",
        f"{NCCL}Cuda failure 2 'out of memory'",
        f"{NCCL}Failed to CUDA calloc async 608 bytes",
        f"{NCCL}Failed to CUDA host alloc 4096 bytes",
    ],
)
@pytest.mark.parametrize("kind", [RuntimeError, torch.distributed.DistBackendError])
def test_gpu_memory_that_others_ask_for(kind, text):
    assert str(explain(kind(text), SETTINGS)).startswith("the GPU's memory is full; lower per_gpu_batchsize")


def test_port_that_is_taken():
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(torch.distributed.DistNetworkError) as caught:
            torch.distributed.TCPStore("localhost", port, 2, is_master=True)
    said = str(explain(caught.value, SETTINGS))
    assert said.startswith(f"port {port} of this machine (MASTER_PORT), where the processes of the run are to meet, is")
    assert "resume" not in said


def test_other_errors_of_nccl_are_of_lost_ranks():
    error = torch.distributed.DistBackendError(f"{NCCL}Cuda failure 'an illegal memory access was encountered'")
    assert "have lost each other" in str(explain(error, SETTINGS))


def test_memory():
    said = "the machine's memory is full; lower num_workers (now 8) or per_gpu_batchsize (now 8), or, if the network is"
    assert str(explain(MemoryError(), SETTINGS)).startswith(said)
    for shape in ((1 << 32, 1 << 20), (1 << 32, 1 << 32)):  # more than there is, and more than can be
        with pytest.raises(RuntimeError) as caught:
            torch.empty(shape)
        assert str(explain(caught.value, SETTINGS)).startswith(said)


def test_only_known_errors_change():
    with pytest.raises(InputError, match="the machine's memory is full"), explained(SETTINGS):
        raise MemoryError
    with pytest.raises(KeyError), explained(SETTINGS):
        raise KeyError("x")


@pytest.mark.parametrize(("text", "cause"), [("killed by signal: Killed", "killed"), ("Bus error", "bus error")])
def test_dead_loader_worker(text, cause):
    error = RuntimeError(f"DataLoader worker (pid 7) is {text}")
    assert str(explain(error, SETTINGS)).startswith(
        f"a loader worker died ({cause}); if memory was short, lower num_wo"
    )


def test_disk():
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "result/metrics.csv")
    said = str(explain(error, SETTINGS))
    assert said == "result/metrics.csv: No space left on device; files that were complete are unchanged"


def test_input_error_of_a_worker_is_its_last_line():
    text = (
        'Caught InputError in DataLoader worker process 0.\nOriginal Traceback:\n  File "x"\nInputError: a.png is cut'
    )
    assert str(explain(InputError(text), SETTINGS)) == "a.png is cut"
    own = InputError("as it is")
    assert explain(own, SETTINGS) is own


def test_others_keep_their_traceback():
    assert explain(RuntimeError("shape mismatch"), SETTINGS) is None
    assert explain(KeyError("x"), SETTINGS) is None
    assert explain(BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)), SETTINGS) is None


def test_disk_of_a_file_without_a_name():
    """TensorBoard's files, written by a thread, and any other in the run's folder."""
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(explain(error, SETTINGS, folder=Path("result/a"))).startswith("cannot write in result/a: No space left")
    board = Path(tensorboard.__file__).parent / "writer.py"
    with pytest.raises(OSError) as caught:
        exec(compile("raise error", board, "exec"), {"error": error})
    said = str(explain(caught.value, SETTINGS, folder=Path("result/a")))
    assert said.startswith("cannot write result/a/events.out.tfevents.*: No space left on device; ")
    hidden = ValueError("you tried to log 79 which is currently not supported")
    hidden.__cause__ = caught.value
    assert str(explain(hidden, SETTINGS, folder=Path("result/a"))) == said


def test_an_error_of_the_system_that_is_not_about_writing():
    error = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    said = str(explain(error, SETTINGS, folder=Path("result/a")))
    assert said == "Resource temporarily unavailable; files that were complete are unchanged"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
        OSError(errno.EMFILE, os.strerror(errno.EMFILE), "a.png"),
        OSError("Caught OSError in DataLoader worker process 0.\nOSError: [Errno 24] Too many open files: 'a.png'"),
        RuntimeError("Too many open files. Communication with the workers is no longer possible."),
    ],
)
def test_too_many_open_files(error):
    said = str(explain(error, SETTINGS, folder=Path("result/a")))
    assert said == "too many open files; raise their limit (ulimit -n) or lower num_workers (now 8)"


LOST = "[../gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:1234"


@pytest.mark.parametrize("error", [RuntimeError(LOST), torch.distributed.DistBackendError("NCCL error\nmore")])
def test_lost_rank(error):
    said = str(explain(error, SETTINGS))
    assert said.startswith("the processes of this run have lost each other (")
    assert str(error).splitlines()[0] in said and "more" not in said
    assert said.endswith("mend that and continue with resume_from=last")
    assert str(explain(error, SETTINGS | {"test_only": True})).endswith("mend that and start it again")


def test_lost_rank_whose_end_is_known():
    error = RuntimeError(LOST)
    error.add_note("rank 1 (process 7) was killed by SIGKILL")
    said = str(explain(error, SETTINGS))
    assert said.startswith("the processes of this run have lost each other (rank 1 (process 7) was killed by SIGKILL);")


def test_ranks_that_were_asked_to_stop_do_not_miss_each_other():
    signals = StopSignals()
    with pytest.raises(InputError, match="lost each other"), explained(SETTINGS, signals=signals):
        raise RuntimeError(LOST)
    signals.received = signal.SIGTERM
    with pytest.raises(StoppedError, match="stopped by SIGTERM"), explained(SETTINGS, signals=signals):
        raise RuntimeError(LOST)
    with pytest.raises(RuntimeError, match="shape"), explained(SETTINGS, signals=signals):
        raise RuntimeError("shape mismatch")
