"""Exceptions from autocast, where it would round what is not worth it, or the same thing again and again."""

import torch
from torch import Tensor, nn


def float32_in_evaluation(module: nn.Module, device: torch.device) -> torch.autocast:
    """A context without autocast if the module is in evaluation mode; in training it changes nothing.

    For parts that are cheap, as they run once per video or once for all answers, and whose rounding would be most of a
    bf16 logit's error.
    """
    return torch.autocast(device.type, enabled=module.training and torch.is_autocast_enabled(device.type))


def rounded_once(x: Tensor) -> Tensor:
    """Casts `x` as autocast would for each of the linear layers that read it, once.

    Only of what needs no gradient: autocast sums those of several readers in float32, which this would not.
    """
    if (torch.is_grad_enabled() and x.requires_grad) or not torch.is_autocast_enabled(x.device.type):
        return x
    return x.to(torch.get_autocast_dtype(x.device.type))
