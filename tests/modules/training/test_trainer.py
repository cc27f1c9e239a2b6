"""Strategy of a trainer of several ranks."""

import dataclasses

import torch
import torch.distributed as dist

from config import Config
from modules.training.trainer import make_trainer


class Constant(torch.nn.Linear):
    """A layer with a buffer."""

    def __init__(self):
        super().__init__(1, 1)
        self.register_buffer("mean", torch.zeros(1))


def test_forward_passes_wait_for_no_other_rank(tmp_path):
    """Validation gives ranks different numbers of batches; an exchange of buffers in each would never be answered."""
    config = dataclasses.asdict(Config()) | {
        "num_gpus": 2,
        "batch_size": 2,
        "per_gpu_batchsize": 1,
        "accelerator": "cpu",
    }
    strategy = make_trainer(config, tmp_path, [], []).strategy
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        assert not strategy._setup_model(Constant()).will_sync_module_buffers()
    finally:
        dist.destroy_process_group()
