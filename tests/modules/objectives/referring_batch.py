"""Batches of temporal referring for tests, for networks of the sizes of `test_dest.SMALL`."""

import torch
from torch.nn import functional as F

NUM_CLIPS = 3


def make_referring_batch(num_questions: int, seed: int = 0) -> dict:
    """Questions of types 0, 1, 2, … in turn; clips of one to three features."""
    generator = torch.Generator().manual_seed(seed)

    def integers(low: int, high: int, *shape: int) -> torch.Tensor:
        return torch.randint(low, high, shape, generator=generator)

    types = torch.arange(num_questions) % 5
    shown = [1 if kind == 0 else NUM_CLIPS for kind in types.tolist()]
    lengths = integers(1, 4, sum(shown))
    totals = torch.stack([own.sum() for own in lengths.split(shown)])
    mask = torch.arange(int(totals.max())) < totals[:, None]
    index = torch.full(mask.shape, len(lengths))
    index[mask] = torch.repeat_interleave(lengths)
    batch = {
        "clips": torch.randn(*mask.shape, 8, generator=generator) * mask[..., None],
        "clip_mask": mask,
        "clip_index": index,
        "clip_lengths": lengths,
        "labels": integers(0, NUM_CLIPS, num_questions),
        "types": types,
        "qids": [f"toy/{number}/{seed}" for number in range(num_questions)],
    }
    for kind, rows in (("question", num_questions), ("choice", num_questions * NUM_CLIPS), ("caption", len(lengths))):
        batch[f"{kind}_ids"] = integers(1, 60, rows, 7)
        batch[f"{kind}_mask"] = (torch.arange(7) < integers(1, 8, rows, 1)).long()
    return batch


def joined(first: dict, second: dict) -> dict:
    """The batch of both, as one rank would have it."""
    longest = max(batch["clips"].shape[1] for batch in (first, second))
    num_clips = len(first["clip_lengths"]), len(second["clip_lengths"])
    indices = [
        first["clip_index"].masked_fill(~first["clip_mask"], sum(num_clips)),
        second["clip_index"] + num_clips[0],
    ]
    batch = {
        "clips": [F.pad(own["clips"], (0, 0, 0, longest - own["clips"].shape[1])) for own in (first, second)],
        "clip_mask": [F.pad(own["clip_mask"], (0, longest - own["clip_mask"].shape[1])) for own in (first, second)],
        "clip_index": [F.pad(index, (0, longest - index.shape[1]), value=sum(num_clips)) for index in indices],
    }
    names = [name for name in first if name not in batch and name != "qids"]
    batch |= {name: [first[name], second[name]] for name in names}
    return {name: torch.cat(parts) for name, parts in batch.items()} | {"qids": first["qids"] + second["qids"]}
