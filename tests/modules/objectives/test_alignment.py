"""The contrastive loss against a naive version, and on two ranks against one."""

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn import functional as F

import modules  # noqa: F401  (declares torchvision's operators first)
from modules.objectives.alignment import alignment_loss
from modules.objectives.settings import OptimizerSettings
from modules.objectives.temporal_referring import ReferringDeST, TemporalReferring
from tests.modules.models.test_dest import SMALL, lively

from .referring_batch import make_referring_batch, share_of

SHARES = (0, 3), (3, 4)  # first and last question of each rank: unequal numbers, and of clips (type 0 shows one)


def unit(seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_loss_is_the_mean_over_clips_of_both_directions_with_the_other_side_detached():
    given = clips, captions, tau = [x.requires_grad_() for x in (unit(0), unit(1), torch.tensor(0.1))]
    total = 0.0
    for own in range(5):
        for one, others in ((clips, captions.detach()), (captions, clips.detach())):
            similarities = torch.stack([one[own] @ other / tau for other in others])
            total += similarities.logsumexp(0) - similarities[own]
    loss = alignment_loss(clips, captions, tau)
    torch.testing.assert_close(loss, total / 10)
    torch.testing.assert_close(torch.autograd.grad(loss, given), torch.autograd.grad(total / 10, given))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(alignment_loss(clips, captions, tau), loss)


def make_task() -> TemporalReferring:
    torch.manual_seed(0)
    task = TemporalReferring(ReferringDeST(SMALL, drop_rate=0.0), OptimizerSettings())
    lively(task.model).train()
    task.log = lambda *_, **__: None
    task.forward = lambda batch: task.training_step(batch, 0)  # what DistributedDataParallel wraps
    return task


def loss_and_gradients(task: TemporalReferring, step: torch.nn.Module, batch: dict):
    loss = step(batch)
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in task.model.named_parameters() if p.grad is not None}


def _one_rank_of_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    task = make_task()
    # find_unused_parameters stays off: every parameter that requires a gradient must get one.
    step = torch.nn.parallel.DistributedDataParallel(task)
    found = loss_and_gradients(task, step, share_of(make_referring_batch(4), *SHARES[rank]))
    torch.save(found, f"{folder}/rank{rank}.pt")
    dist.destroy_process_group()


def test_two_ranks_are_one_with_the_joined_batch(tmp_path):
    mp.start_processes(_one_rank_of_two, (str(tmp_path),), nprocs=2, start_method="spawn")
    losses, gradients = zip(*(torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2)), strict=True)
    task = make_task()
    loss, expected = loss_and_gradients(task, task, make_referring_batch(4))
    torch.testing.assert_close(sum(losses) / 2, loss, rtol=1e-5, atol=0)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=0)
    torch.testing.assert_close(gradients[0], expected, rtol=1e-4, atol=1e-5)
