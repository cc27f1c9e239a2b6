"""run.py on the CPU with a default process group that, like NCCL, takes tensors of the device alone.

``python -m tests.kit.like_nccl with … num_gpus=2``. On a CPU every tensor lies in the same memory. Which would lie on
the host is told from how they were made: without a word about the device, moved by ``.cpu()``, or out of others such.
Where such a tensor is handed to the default group, the process ends, as with NCCL.
"""

import inspect
import sys

import torch
import torch.distributed as dist
from torch.distributed import distributed_c10d
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

HOST = torch.device("cpu", 0)  # PyTorch does not take it for torch.device("cpu"), which is the device here
FACTORIES = "tensor as_tensor zeros ones empty full arange from_numpy".split()
COLLECTIVES = "all_reduce all_gather all_gather_into_tensor broadcast reduce gather scatter reduce_scatter".split()
OBJECTS = "all_gather_object gather_object".split()


def tensors_in(*values) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


class Places(TorchFunctionMode):
    """Marks the tensors that would be on the host."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        made = function(*args, **kwargs)
        name = getattr(function, "__name__", "")
        if name in ("__get__", "__set__"):
            asked_device = function == torch.Tensor.device.__get__
            return HOST if asked_device and getattr(args[0], "on_host", False) else made
        given = tensors_in(args, kwargs)
        devices = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.device | str)]
        if name in FACTORIES or (name == "to" and devices):
            on_host = not devices or devices[0] in ("cpu", HOST)
        else:
            on_host = name == "cpu" or (bool(given) and all(getattr(tensor, "on_host", False) for tensor in given))
        for tensor in tensors_in(made):
            tensor.on_host = on_host
        return made


def refuse_host_tensors() -> None:
    carried = []  # not empty: an object of Lightning's travels, which goes to the device by itself

    def wrap(name, change):
        original = getattr(dist, name)
        wrapped = lambda *args, **kwargs: change(original, args, kwargs)  # noqa: E731
        setattr(dist, name, wrapped)
        setattr(distributed_c10d, name, wrapped)

    def is_default(original, args, kwargs):
        group = inspect.signature(original).bind(*args, **kwargs).arguments.get("group")
        return group is None or group is dist.GroupMember.WORLD

    def carry(original, args, kwargs):
        carried.append(True)
        try:
            return original(*args, **kwargs)
        finally:
            carried.pop()

    def check(original, args, kwargs):
        on_host = any(getattr(tensor, "on_host", False) for tensor in tensors_in(args, kwargs))
        if on_host and not carried and is_default(original, args, kwargs):
            raise RuntimeError(f"No backend type associated with device type cpu ({original.__name__})")
        if kwargs.get("op") == dist.ReduceOp.AVG and not args[0].is_floating_point():
            original(*args, **kwargs | {"op": dist.ReduceOp.SUM})  # gloo averages no whole numbers, NCCL does
            args[0].floor_divide_(dist.get_world_size())
            return None
        return original(*args, **kwargs)

    def refuse(original, args, kwargs):
        if is_default(original, args, kwargs):
            raise RuntimeError(f"objects go over the device ({original.__name__})")
        return original(*args, **kwargs)

    for name in COLLECTIVES:
        wrap(name, check)
    for name in OBJECTS:
        wrap(name, refuse)
    wrap("broadcast_object_list", carry)


def main(words: list[str]) -> int:
    import pytorch_lightning.strategies.ddp as ddp

    import run  # noqa: F401  (brings the commands)
    from config import run_command_line

    dist.Backend.register_backend("likenccl", dist.ProcessGroupGloo, devices=["cpu"])
    ddp._get_default_process_group_backend_for_device = lambda device: "likenccl"
    refuse_host_tensors()
    with Places():
        return run_command_line(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
