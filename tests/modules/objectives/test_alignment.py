"""The contrastive loss against a naive version, and on two ranks against one."""

import os

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn import functional as F

import modules  # noqa: F401  (declares torchvision's operators first)
from modules.objectives.alignment import alignment_loss
from modules.objectives.settings import OptimizerSettings
from modules.objectives.temporal_referring import ReferringDeST, TemporalReferring
from tests.modules.models.test_dest import SMALL, lively

from .referring_batch import joined, make_referring_batch

SHARES = (3, 1)  # questions of each rank


def unit(*shape: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_loss_is_the_mean_over_clips_of_both_directions():
    clips, captions, tau = unit(5, 8, seed=0), unit(5, 8, seed=1), torch.tensor(0.1)
    total = 0.0
    for own in range(5):
        to_captions = torch.stack([clips[own] @ captions[other] / tau for other in range(5)])
        to_clips = torch.stack([captions[own] @ clips[other] / tau for other in range(5)])
        total += to_captions.logsumexp(0) - to_captions[own] + to_clips.logsumexp(0) - to_clips[own]
    torch.testing.assert_close(alignment_loss(clips, captions, tau), total / 10)


def test_the_other_side_is_detached():
    clips, captions = (unit(4, 8, seed=seed).requires_grad_() for seed in range(2))
    tau = torch.tensor(0.1, requires_grad=True)
    alignment_loss(clips, captions, tau).backward()
    own = clips.detach().requires_grad_()
    labels = torch.arange(4)
    (F.cross_entropy(own @ captions.detach().T / 0.1, labels) / 2).backward()
    torch.testing.assert_close(clips.grad, own.grad)
    assert tau.grad is not None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_does_not_overflow(dtype):
    clips = unit(6, 8, seed=0)
    tau = torch.tensor(0.001)  # the lowest it may fall to: similarities of ±1000
    with torch.autocast("cpu", dtype=dtype):
        loss = alignment_loss(clips, -clips, tau)
        assert loss.dtype == torch.float32
        assert torch.isfinite(loss)
        low = alignment_loss(clips.to(dtype), clips.to(dtype), torch.tensor(0.07))
    torch.testing.assert_close(low, alignment_loss(clips, clips, torch.tensor(0.07)), rtol=0.02, atol=0.02)


def make_task() -> TemporalReferring:
    torch.manual_seed(0)
    task = TemporalReferring(ReferringDeST(SMALL, drop_rate=0.0), OptimizerSettings())
    lively(task.model).train()
    task.log = lambda *_, **__: None
    return task


class _Step(torch.nn.Module):
    """A training step as a forward pass, which is what DistributedDataParallel wraps."""

    def __init__(self, task: TemporalReferring):
        super().__init__()
        self.task = task

    def forward(self, batch):
        return self.task.training_step(batch, 0)


def _one_rank_of_two(rank: int, folder: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="0")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    task = make_task()
    # find_unused_parameters stays off: every parameter that requires a gradient must get one.
    step = torch.nn.parallel.DistributedDataParallel(_Step(task))
    loss = step(make_referring_batch(SHARES[rank], seed=rank))
    loss.backward()
    gradients = {name: p.grad for name, p in task.model.named_parameters() if p.grad is not None}
    torch.save((loss.detach(), gradients), f"{folder}/rank{rank}.pt")
    dist.destroy_process_group()


def test_two_ranks_are_one_with_the_joined_batch(tmp_path):
    """Unequal numbers of questions, and of clips (type 0 shows one): the same loss, the same gradient."""
    batches = [make_referring_batch(share, seed=rank) for rank, share in enumerate(SHARES)]
    assert len(batches[0]["clip_lengths"]) != len(batches[1]["clip_lengths"])
    mp.start_processes(_one_rank_of_two, (str(tmp_path),), nprocs=2, start_method="spawn")
    losses, gradients = zip(*(torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2)), strict=True)

    task = make_task()
    loss = task.training_step(joined(*batches), 0)
    loss.backward()
    torch.testing.assert_close(sum(losses) / 2, loss.detach(), rtol=1e-5, atol=0)
    expected = {name: p.grad for name, p in task.model.named_parameters() if p.grad is not None}
    assert gradients[0].keys() == gradients[1].keys() == expected.keys()
    # The gradients of keys' biases are zero but for rounding, hence a small part of the whole as well.
    whole = torch.stack([gradient.norm() for gradient in expected.values()]).norm()
    for name, gradient in expected.items():
        assert torch.equal(gradients[0][name], gradients[1][name])
        error = (gradients[0][name] - gradient).norm()
        assert error < 1e-5 * gradient.norm() + 1e-8 * whole, f"{name}: {error} of {gradient.norm()}"
