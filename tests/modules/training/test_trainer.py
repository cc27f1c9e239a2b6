"""Strategy of a trainer of several ranks."""

import torch
import torch.distributed as dist

from config import Config
from modules.training.trainer import make_trainer


def test_forward_passes_wait_for_no_other_rank(tmp_path):
    """Validation gives ranks different numbers of batches; an exchange of buffers in each would never be answered."""
    two_ranks = {"num_gpus": 2, "batch_size": 2, "per_gpu_batchsize": 1, "accelerator": "cpu"}
    strategy = make_trainer(vars(Config()) | two_ranks, tmp_path, [], []).strategy
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        assert not strategy._setup_model(torch.nn.BatchNorm1d(1)).will_sync_module_buffers()
    finally:
        dist.destroy_process_group()
