"""Where autocast does too much: rounds what is not worth it, or rounds the same thing again and again."""

import torch
from torch import Tensor, nn


def float32_in_evaluation(module: nn.Module, device: torch.device) -> torch.autocast:
    """A context without autocast if the module is in evaluation mode; in training it changes nothing.

    For parts that are cheap, as they run once a video or once for all answers, and whose rounding would be most of a
    bf16 logit's error.
    """
    return torch.autocast(device.type, enabled=module.training and torch.is_autocast_enabled(device.type))


def rounded_once(x: Tensor) -> Tensor:
    """What autocast would make of `x` for each of the linear layers that read it, made once.

    Only without gradients: autocast sums those of several readers in float32, which this would not.
    """
    if torch.is_grad_enabled() or not torch.is_autocast_enabled(x.device.type):
        return x
    return x.to(torch.get_autocast_dtype(x.device.type))
