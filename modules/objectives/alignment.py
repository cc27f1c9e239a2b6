"""The contrastive alignment of clips and captions, over all clips of all ranks (paper, section 4; after CLIP).

Letters: N clips of this rank · M clips of all ranks · P width of the common space.
"""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

from modules.objectives.host_group import is_distributed


def count_on_all_ranks(*numbers: int, group: dist.ProcessGroup | None = None) -> list[list[int]]:
    """The numbers of each rank, in order of the ranks. Called by all ranks at the same point.

    Args:
        group: of the hosts, so that no host waits for its device; None: the default group is one.
    """
    if not is_distributed():
        return [list(numbers)]
    own = torch.tensor(numbers)
    everyone = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(everyone, own, group=group)
    return torch.stack(everyone).tolist()


def gather_rows(rows: Tensor, counts: list[int]) -> tuple[Tensor, int]:
    """The rows ``[N, ...]`` of all ranks (`counts`: the N of each), without gradient, in order of the ranks.

    Returns ``[M, ...]``, and where the rows of this rank begin.
    """
    rows = rows.detach()
    if not is_distributed():
        return rows, 0
    # Collectives need one size on all ranks: up to the longest, and what is beyond a rank's own is cut off again.
    padded = rows.new_zeros(max(counts), *rows.shape[1:])
    padded[: len(rows)] = rows
    everyone = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(everyone, padded)
    gathered = torch.cat([part[:count] for part, count in zip(everyone, counts, strict=True)])
    return gathered, sum(counts[: dist.get_rank()])


def alignment_loss(clips: Tensor, captions: Tensor, tau: Tensor, counts: list[int] | None = None) -> Tensor:
    """Each clip should be closer to its caption than to any other, and each caption to its clip.

    Cross-entropy in both directions, averaged. In each, what is compared with is detached: the clips learn from where
    the captions stand, the captions from where the clips stand.

    Args:
        clips, captions: float ``[N, P]``, normalised; the i-th clip belongs to the i-th caption.
        tau: the temperature, a divisor.
        counts: N of each rank, to compare with the clips and captions of all ranks; None: this rank's alone.

    Returns:
        a float32 scalar: the mean over the N clips.
    """
    with torch.autocast(clips.device.type, enabled=False):
        clips, captions, tau = clips.float(), captions.float(), tau.float()
        if counts is None:
            both, first = torch.stack([clips, captions], dim=1).detach(), 0
        else:
            both, first = gather_rows(torch.stack([clips, captions], dim=1), counts)  # [M, 2, P]
        all_clips, all_captions = both.unbind(1)
        labels = torch.arange(first, first + len(clips), device=clips.device)
        to_captions = F.cross_entropy(clips @ all_captions.T / tau, labels)
        to_clips = F.cross_entropy(captions @ all_clips.T / tau, labels)
        return (to_captions + to_clips) / 2
