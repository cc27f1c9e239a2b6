"""What the device finds fault with."""

import pytest
import torch

from .device import gpu

pytestmark = pytest.mark.gpu

READS = {
    "item": lambda x: x.sum().item(),
    "if": lambda x: 1 if x.any() else 0,
    "cpu": lambda x: x.cpu(),
    "mask as index": lambda x: x[x > 0],
    "copy to the host": lambda x: torch.empty(4, 4).copy_(x),
}
COPIES = {
    "list as index": lambda x: x[[0, 1]],
    "host tensor as index": lambda x: x[torch.tensor([0, 1])],
    "list as tensor": lambda x: torch.tensor([0, 1], device=x.device),
    "host tensor moved": lambda x: torch.ones(4).to(x.device, non_blocking=True),
    "assigned": lambda x: x.copy_(torch.ones(4, 4)),
}


@pytest.mark.parametrize("fault", [*READS, *COPIES])
def test_a_wait_is_found(fault):
    with gpu() as device:
        if device.is_real:
            pytest.skip("a real device raises an error instead")
        x = device.place(torch.ones(4, 4))
        with device.step("step") as step:
            (READS | COPIES)[fault](x)
    assert (step.reads.total(), step.copies.total()) == (int(fault in READS), int(fault in COPIES))
    with pytest.raises(AssertionError, match=r"test_device\.py"):
        step.check(kernels=100)
