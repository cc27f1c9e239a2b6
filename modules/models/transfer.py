"""Copies from the host to a device without waiting for it."""

from collections.abc import Sequence

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """The host's tensor on the device. A GPU fetches it from pinned memory when its turn comes."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def send_numbers(numbers: Sequence[int] | Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """int64, of the form of the (nested) list."""
    return send(torch.tensor(numbers, dtype=torch.long), device)


def inverse(order: Sequence[int]) -> list[int]:
    """The place of each number in a permutation: brings things back from that order."""
    back = [0] * len(order)
    for place, number in enumerate(order):
        back[number] = place
    return back
