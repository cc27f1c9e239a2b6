"""Questions in passes through the network: few kernels are better, as far as memory goes."""

from collections import Counter

import torch
from torch import Tensor

from datamodules.batch import Questions

from .settings import ModelSizes
from .transfer import inverse, send_numbers

_SHARE = 0.25  # of the memory that is free; the videos' keys and values, and what PyTorch splits badly, want theirs
_TIMES = 8  # per_gpu_batchsize at most: by then kernels take longer than their launch, and whoever lowers it is heard


def free_memory(device: torch.device) -> int | None:
    """Bytes that a GPU has for this process; None on a CPU, which is no faster with more questions at once."""
    if device.type != "cuda":
        return None
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused


def questions_that_fit(
    per_gpu_batchsize: int, sizes: ModelSizes, num_frames: int, length: int, free: int | None
) -> int:
    """The most questions in one pass: from `per_gpu_batchsize` to 8 times that, by the memory that is free.

    A question takes num_frames × length tokens through the fusion layers. Of each, a layer holds at most eight states
    (what came in, query, key, value, context, update, sum, what goes out) and two of the feed-forward block's width,
    4 bytes per number: 49 kB at the published width. AGQA's 8 frames × 20 tokens make 8 MB per question, so that 256
    questions (2 GB) want 8 GB free; ActivityNet-QA's 16 × 16 make 13 MB.

    Args:
        num_frames: of a video; 1 without a spatial stream.
        length: tokens of a question, padding included.
        free: bytes, from `free_memory`.
    """
    if free is None:
        return per_gpu_batchsize
    question = num_frames * length * 4 * (8 * sizes.hidden_size + 2 * sizes.intermediate_size)
    return max(per_gpu_batchsize, min(int(_SHARE * free) // question, _TIMES * per_gpu_batchsize))


def group_by_video(ids: Tensor, mask: Tensor, video_index: Tensor, num_videos: int) -> tuple[Questions, Tensor]:
    """Questions that come in any order. Waits for the device, once for each list.

    Args:
        ids, mask: ``[Q, L]``.
        video_index: int64 ``[Q]``, the video of each question.
        num_videos: V.

    Returns:
        the questions, grouped by video; int64 ``[Q]``, the place of each among them.
    """
    order = torch.argsort(video_index, stable=True)
    ids, mask = ids[order], mask[order]
    per_video = torch.bincount(video_index, minlength=num_videos).tolist()
    return Questions(ids, mask, mask.sum(1).tolist(), per_video), torch.argsort(order)


def chunks_by_length(questions: Questions, at_once: int) -> tuple[list[Questions], Tensor]:
    """Questions in chunks, each with others of about its length about the same video.

    Padding beyond the longest of a chunk goes: most of what a batch of unequal questions would compute.

    Args:
        at_once: the most questions of a chunk.

    Returns:
        the chunks; int64 ``[Q]``, the place of each question in them.
    """
    order: list[int] = []
    videos: list[int] = []
    for video, count in enumerate(questions.per_video):
        order += sorted(range(len(order), len(order) + count), key=questions.lengths.__getitem__)
        videos += [video] * count
    rows = send_numbers([order, inverse(order)], questions.ids.device)
    ids, mask = questions.ids[rows[0]], questions.mask[rows[0]]
    chunks = []
    for start in range(0, len(order), at_once):
        own = slice(start, start + at_once)
        lengths = [questions.lengths[row] for row in order[own]]
        present = Counter(videos[own])
        per_video = [present[video] for video in range(len(questions.per_video))]
        chunks.append(Questions(ids[own, : max(lengths)], mask[own, : max(lengths)], lengths, per_video))
    return chunks, rows[1]
