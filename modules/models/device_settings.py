"""Switches of PyTorch for all devices, set once, before a command computes anything."""

import torch

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
    # A CPU's attention with dropout has no kernel of its own; of bfloat16 its steps are then computed as such, too.
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
