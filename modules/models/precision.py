"""Precision: switches of PyTorch, and exceptions from autocast."""

import torch
from torch import Tensor, nn

TF32 = "tf32"  # the precision that allows it


def switch_devices(precision: int | str) -> None:
    """Makes GPUs compute float32 as the precision says, and attention be computed the fastest way.

    Args:
        precision: as in the settings or of `preproc/extract_features.py`; "tf32" is float32 whose products are rounded
            to TF32 (10 bits of 23, several times as fast). With all others float32 is float32: PyTorch's own choice
            is that for matrix products, but TF32 for convolutions.
    """
    # The older of PyTorch's two ways to say it: what is said so can be read both ways, the newer only as the newer.
    torch.backends.cuda.matmul.allow_tf32 = precision == TF32
    torch.backends.cudnn.allow_tf32 = precision == TF32
    # cuDNN's attention, the first choice on Hopper and newer, makes a plan for each shape, which takes longer than the
    # attention; questions and windows come in many shapes.
    torch.backends.cuda.enable_cudnn_sdp(False)
    # On a CPU, attention with dropout is computed step by step; this keeps the steps in bfloat16 instead of float32.
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)


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
