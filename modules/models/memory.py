"""Full memory, told by the errors of PyTorch and of what it calls."""

import re

import torch

# How CUDA's parts, NCCL among them, say that the GPU's memory is full, where it is not PyTorch that asks for it.
_NO_GPU_MEMORY = re.compile(r"(?:CUDA|Cuda|CUDNN|CUBLAS).*(?:out of memory|ALLOC_FAILED)|Failed to CUDA .*alloc")
# How PyTorch says on a CPU that memory is full, or can never be enough.
_NO_MEMORY = re.compile(r"can't allocate memory|std::bad_alloc|[Ss]torage size calculation overflowed")


def full_memory(error: Exception) -> str | None:
    """The memory that was full when the error was raised, "GPU" or "machine"; None if it is about something else."""
    if isinstance(error, torch.OutOfMemoryError):
        return "GPU"
    if isinstance(error, MemoryError):
        return "machine"
    if not isinstance(error, RuntimeError):
        return None
    if _NO_GPU_MEMORY.search(str(error)):
        return "GPU"
    return "machine" if _NO_MEMORY.search(str(error)) else None
