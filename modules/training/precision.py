"""Lightning's precisions, and mixed precision that rounds each weight once per step."""

import torch
from pytorch_lightning.plugins import MixedPrecision, Precision

from modules.models.precision import TF32


class RoundedOnce(MixedPrecision):
    """Lightning's mixed precision, but each weight that is trained is rounded once per step, not for each of its uses.

    Such are the answers' encoder, once for each length of answers, and all layers for each chunk of questions. What is
    kept of a weight lives as long as the step's context. (Lightning keeps nothing: a weight rounded first without, then
    with gradients would get none. Here only frozen parts run without gradients amid a training step, and of frozen
    weights PyTorch keeps nothing.)
    """

    def autocast_context_manager(self) -> torch.autocast:
        context = super().autocast_context_manager()
        return torch.autocast(self.device, context.fast_dtype, cache_enabled=True)


def precision_plugin(precision: int | str, device_type: str) -> Precision:
    """The precision that a Trainer computes in.

    Args:
        precision: as in the settings; "tf32" is float32 here, `switch_devices` does the rest.
    """
    if precision in (32, TF32):
        return Precision()
    return RoundedOnce("16-mixed" if precision == 16 else "bf16-mixed", device_type)
