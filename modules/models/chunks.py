"""How many questions go through the network at once at inference: few kernels are better, as far as memory goes."""

import torch

from .dest import ModelSizes

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
    4 bytes a number: 49 kB at the published width. AGQA's 8 frames × 20 tokens make 8 MB a question, so that 256
    questions (2 GB) want 8 GB free; ActivityNet-QA's 16 × 16 make 13 MB.

    Args:
        per_gpu_batchsize: the setting.
        sizes: of the network.
        num_frames: of a video; 1 without a spatial stream.
        length: tokens of a question, padding included.
        free: bytes, from `free_memory`.
    """
    if free is None:
        return per_gpu_batchsize
    question = num_frames * length * 4 * (8 * sizes.hidden_size + 2 * sizes.intermediate_size)
    return max(per_gpu_batchsize, min(int(_SHARE * free) // question, _TIMES * per_gpu_batchsize))
