"""What GPUs are told before a command computes anything; it can be read without one."""

import pytest
import torch

import modules  # noqa: F401  (before torchvision)
import run  # noqa: F401  (brings the commands)
from modules.models.precision import switch_devices

cuda, cudnn = torch.backends.cuda, torch.backends.cudnn


def switches() -> tuple[bool, bool, bool]:
    """TF32 in matrix products, in convolutions; cuDNN's attention."""
    return cuda.matmul.allow_tf32, cudnn.allow_tf32, cuda.cudnn_sdp_enabled()


@pytest.mark.parametrize("precision", [32, "32", 16, "16", "bf16"])
def test_float32_is_float32_unless_tf32_is_wanted(precision):
    cuda.enable_cudnn_sdp(True)
    switch_devices("tf32")
    assert switches() == (True, True, False)
    # However PyTorch, or a library, asks.
    assert torch.get_float32_matmul_precision() == "high"
    assert cuda.matmul.fp32_precision == cudnn.conv.fp32_precision == "tf32"
    switch_devices(precision)
    assert switches() == (False, False, False)
    assert torch.get_float32_matmul_precision() == "highest"
