"""What several processes exchange."""

import torch

from .test_open_ended_qa import make_task


def test_forward_passes_wait_for_no_other_rank():
    """Validation gives ranks different numbers of batches; an exchange of buffers in each would never be answered."""
    task, _ = make_task()
    task.setup("fit")
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        wrapped = torch.nn.parallel.DistributedDataParallel(task)
        assert list(task.buffers())
        assert not wrapped.will_sync_module_buffers()
    finally:
        torch.distributed.destroy_process_group()
