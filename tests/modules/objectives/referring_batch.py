"""Batches of temporal referring for tests, for networks of the sizes of `test_dest.SMALL`."""

import torch
from torch.nn import functional as F

from datamodules.batch import Questions

NUM_CLIPS = 3


def make_referring_batch(num_questions: int, seed: int = 0, num_clips: int = NUM_CLIPS, width: int = 8) -> dict:
    """Questions of types 0, 1, 2, … in turn; clips of one to three features of that width."""
    generator = torch.Generator().manual_seed(seed)

    def integers(low: int, high: int, *shape: int) -> torch.Tensor:
        return torch.randint(low, high, shape, generator=generator)

    types = torch.arange(num_questions) % 5
    shown = [1 if kind == 0 else num_clips for kind in types.tolist()]
    lengths = integers(1, 4, sum(shown))
    totals = torch.stack([own.sum() for own in lengths.split(shown)])
    mask = torch.arange(int(totals.max())) < totals[:, None]
    index = torch.full(mask.shape, len(lengths))
    index[mask] = torch.repeat_interleave(lengths)
    batch = {
        "clips": torch.randn(*mask.shape, width, generator=generator) * mask[..., None],
        "clip_mask": mask,
        "clip_index": index,
        "clip_lengths": lengths,
        "labels": integers(0, num_clips, num_questions),
        "types": types,
        "qids": [f"toy/{number}/{seed}" for number in range(num_questions)],
        "question_texts": [f"question {number}" for number in range(num_questions)],
        "choice_texts": [tuple(f"choice {number}" for number in range(num_clips))] * num_questions,
    }
    for kind, rows in (("question", num_questions), ("choice", num_questions * num_clips), ("caption", len(lengths))):
        batch[f"{kind}_ids"] = integers(1, 60, rows, 7)
        batch[f"{kind}_mask"] = (torch.arange(7) < integers(1, 8, rows, 1)).long()
    ids, mask = batch.pop("question_ids"), batch.pop("question_mask")
    batch["questions"] = Questions(ids, mask, mask.sum(1).tolist(), [1] * num_questions)
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
    names = [name for name in first if name not in batch and isinstance(first[name], torch.Tensor)]
    batch |= {name: [first[name], second[name]] for name in names}
    one, other = first["questions"], second["questions"]
    questions = Questions(
        torch.cat([one.ids, other.ids]),
        torch.cat([one.mask, other.mask]),
        one.lengths + other.lengths,
        one.per_video + other.per_video,
    )
    return {name: torch.cat(parts) for name, parts in batch.items()} | {"questions": questions}
