"""Measurements of the benchmarks: time, floating-point operations, memory, and the best that the machine can do."""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins import Precision
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from datasets.errors import InputError
from modules.models.precision import switch_devices
from modules.training.precision import precision_plugin

PRECISIONS = {"32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}
_NEED_A_GPU = ("tf32", "16")


def machine() -> str:
    """Processor, cores and library versions, in a line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    parts = [f"{model}, {os.cpu_count()} cores", f"Python {platform.python_version()}", f"torch {torch.__version__}"]
    if torch.cuda.is_available():
        parts.insert(1, torch.cuda.get_device_name())
    return "; ".join(parts)


def precisions_of(device: torch.device) -> list[str]:
    """Precisions that a device can be measured in."""
    return [name for name in PRECISIONS if device.type == "cuda" or name not in _NEED_A_GPU]


def precision_of_run(name: str, device: torch.device) -> Precision:
    """Precision of a run: its `forward_context`, and the `scaler` of precision 16. The device is switched to it.

    Raises:
        InputError: the precision needs a GPU.
    """
    if name not in precisions_of(device):
        raise InputError(
            f"--precision {name} needs a GPU: add --device cuda, or take {', '.join(precisions_of(device))}"
        )
    switch_devices(name)
    return precision_plugin(int(name) if name.isdecimal() else name, device.type)


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(function: Callable[[], Any], device: torch.device, repeats: int = 1) -> float:
    """Shortest wall-clock time of a call."""
    best = float("inf")
    for _ in range(repeats):
        synchronize(device)
        start = time.perf_counter()
        function()
        synchronize(device)
        best = min(best, time.perf_counter() - start)
    return best


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """The machine's measured rate: FLOP per second of its best large matrix product, out of several shapes."""
    size = 8192 if device.type == "cuda" else 2048
    rate = 0.0
    for rows in (size, 4 * size):
        left = torch.randn(rows, size, device=device, dtype=dtype)
        right = torch.randn(size, size, device=device, dtype=dtype)
        torch.nn.functional.linear(left, right)
        rate = max(
            rate, 2 * rows * size * size / seconds(lambda a=left, b=right: torch.nn.functional.linear(a, b), device, 5)
        )
    return rate


def _cpu_attention_flops(query, key, value, *args, out_shape=None, **kwargs) -> int:
    return sdpa_flop_count(query, key, value)


def count_flops(function: Callable[[], Any]) -> int:
    """Floating-point operations of the matrix products and attentions in a call (a multiply-add counts two)."""
    # torch counts the attention kernels of GPUs by itself, but not the CPU's.
    mapping = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _cpu_attention_flops}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        function()
    return counter.get_total_flops()


def seconds_and_flops(function: Callable[[], Any], device: torch.device) -> tuple[float, int]:
    """`seconds` and `count_flops`, of a call each: the counter comes between torch and its kernels and slows a call.

    The counted call is the first, so that the timed one finds kernels chosen and memory pooled.
    """
    flops = count_flops(function)
    return seconds(function, device), flops


def reset_peak_memory(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark back to what is in use now


def peak_memory(device: torch.device) -> float:
    """GB: allocated on the GPU, or resident in memory, at the highest since `reset_peak_memory`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e9
    return float("nan")
