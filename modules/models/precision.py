"""Mixed precision, but where autocast rounds what is not worth it, or the same thing again and again."""

import torch
from pytorch_lightning.plugins import MixedPrecision, Precision
from torch import Tensor, nn

from .device_settings import TF32


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
