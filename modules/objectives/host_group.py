"""The process group of the hosts: for what is on no device, which NCCL refuses or makes the host wait for."""

import torch.distributed as dist


def is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def make_host_group() -> dist.ProcessGroup | None:
    """Makes the group; called by all ranks at the same point. None: the default group is of the hosts, or no need."""
    if not is_distributed() or dist.get_backend() == "gloo":
        return None
    return dist.new_group(backend="gloo")
