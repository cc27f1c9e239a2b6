"""Where rounding to 16 bits is not worth what it saves."""

import torch
from torch import nn


def float32_in_evaluation(module: nn.Module, device: torch.device) -> torch.autocast:
    """A context without autocast if the module is in evaluation mode; in training it changes nothing.

    For parts that are cheap, as they run once a video or once for all answers, and whose rounding would be most of a
    bf16 logit's error.
    """
    return torch.autocast(device.type, enabled=module.training and torch.is_autocast_enabled(device.type))
