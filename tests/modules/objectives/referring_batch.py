"""Batches of temporal referring for tests, for networks of the sizes of `test_dest.SMALL`."""

import torch

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


def share_of(batch: dict, first: int, last: int) -> dict:
    """The questions from `first` to before `last` as a batch of their own, padded as far as they want it."""
    shown = [1 if kind == 0 else NUM_CLIPS for kind in batch["types"].tolist()]
    start, stop = sum(shown[:first]), sum(shown[:last])
    longest, questions = int(batch["clip_mask"][first:last].sum(1).max()), batch["questions"]
    ids, mask, lengths = (own[first:last] for own in (questions.ids, questions.mask, questions.lengths))
    own = {name: batch[name][first:last, :longest] for name in ("clips", "clip_mask", "clip_index")}
    own |= {"labels": batch["labels"][first:last], "clip_lengths": batch["clip_lengths"][start:stop]}
    own["clip_index"] = (own["clip_index"] - start).clamp(max=stop - start)
    own["questions"] = Questions(ids[:, : max(lengths)], mask[:, : max(lengths)], lengths, [1] * len(lengths))
    for kind, rows in (("choice", slice(first * NUM_CLIPS, last * NUM_CLIPS)), ("caption", slice(start, stop))):
        own |= {name: batch[name][rows] for name in (f"{kind}_ids", f"{kind}_mask")}
    return own
