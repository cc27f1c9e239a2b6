"""Words of libraries that nobody can act on, left out; without importing them, which takes seconds."""

import functools
import threading
import warnings
from collections.abc import Callable

# Of libraries, about matters that are decided here on purpose. Each is a regular expression for the message's start.
KNOWN_WARNINGS = (
    # The order of the data is a function of (seed, epoch), and the sampler starts where the checkpoint ended.
    r"You're resuming from a checkpoint that ended before the epoch ended and your dataloader is not resumable",
    # Frozen parts are in evaluation mode on purpose.
    r"Found \d+ module\(s\) in eval mode at the start of training",
    # num_workers is a setting; 0 is right for small data, and any number of them runs on few processors.
    r"This DataLoader will create",
    r"The '\w+_dataloader' does not have many workers",
    # Short runs: the last values are logged at the end of the epoch.
    r"The number of training batches \(\d+\) is smaller than the logging interval",
    # PyTorch's own advice is to keep it until what it calls `init_sync_buffers` is there.
    r"`broadcast_buffers` is deprecated",
    # Lightning's use of PyTorch.
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    # A skipped first step of the float16 scaler.
    r"Detected call of `lr_scheduler.step\(\)` before `optimizer.step\(\)`",
    # On a machine where SLURM is installed but not meant; `machine_checks` says what is wrong where it is.
    r"The `srun` command is available on your system but is not used",
)


def quiet_libraries() -> None:
    """Leaves out the warnings listed above; all others stay."""
    if getattr(threading.excepthook, "func", None) is not _report_thread:
        threading.excepthook = functools.partial(_report_thread, threading.excepthook)
    for message in KNOWN_WARNINGS:
        warnings.filterwarnings("ignore", message=message)


def _report_thread(report: Callable[[threading.ExceptHookArgs], object], raised: threading.ExceptHookArgs) -> None:
    """TensorBoard's thread hands an error of the disk to whoever writes next; its traceback would be told beside it."""
    of_board = type(raised.thread).__module__.startswith("tensorboard.")
    if not (of_board and isinstance(raised.exc_value, OSError)):
        report(raised)
