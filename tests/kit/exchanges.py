"""run.py, each rank of which says when it exchanges gradients: ``python -m tests.kit.exchanges with …``."""

import sys

import pytorch_lightning.strategies.ddp as ddp
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel

import run  # noqa: F401  (brings the commands)
from config import run_command_line

EXCHANGE = "gradients are exchanged"


class Telling(DistributedDataParallel):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_comm_hook(None, tell)


def tell(state, bucket):
    if bucket.is_last():
        print(EXCHANGE, flush=True)
    return allreduce_hook(state, bucket)


if __name__ == "__main__":
    ddp.DistributedDataParallel = Telling
    sys.exit(run_command_line(sys.argv[1:]))
