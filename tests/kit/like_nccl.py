"""run.py on the CPU, with a default process group that is of the devices: ``python -m tests.kit.like_nccl with …``.

As NCCL it takes nothing of the host: no objects, and of this repository no whole numbers. Exchanges of gradients are
said.
"""

import inspect
import sys
from functools import partial

import pytorch_lightning.strategies.ddp as ddp
import torch.distributed as dist
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.utils._pytree import tree_leaves

import run  # noqa: F401  (brings the commands)
from config import run_command_line

from .paths import ROOT

COLLECTIVES = "all_reduce all_gather broadcast reduce gather scatter all_gather_object gather_object".split()


def check(original, *args, **kwargs):
    group = inspect.signature(original).bind(*args, **kwargs).arguments.get("group")
    is_ours = sys._getframe(1).f_code.co_filename.startswith(str(ROOT / "modules"))
    is_of_host = not any(is_float(value) for value in tree_leaves(args))
    if is_ours and is_of_host and group in (None, dist.GroupMember.WORLD):
        raise RuntimeError(f"No backend type associated with device type cpu ({original.__name__})")
    if kwargs.get("op") == dist.ReduceOp.AVG and not is_float(args[0]):
        original(*args, **kwargs | {"op": dist.ReduceOp.SUM})  # gloo averages no whole numbers, NCCL does
        return args[0].floor_divide_(dist.get_world_size())
    return original(*args, **kwargs)


def is_float(value) -> bool:
    return hasattr(value, "is_floating_point") and value.is_floating_point()


class Telling(ddp.DistributedDataParallel):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_comm_hook(None, tell)


def tell(state, bucket):
    if bucket.is_last():
        print("gradients are exchanged", flush=True)
    return allreduce_hook(state, bucket)


if __name__ == "__main__":
    dist.Backend.register_backend("likenccl", dist.ProcessGroupGloo, devices=["cpu"])
    ddp._get_default_process_group_backend_for_device = lambda device: "likenccl"
    ddp.DistributedDataParallel = Telling
    for name in COLLECTIVES:
        setattr(dist, name, partial(check, getattr(dist, name)))
    sys.exit(run_command_line(sys.argv[1:]))
