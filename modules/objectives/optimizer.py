"""Optimizer groups and the learning-rate schedule of the published recipes."""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers import get_polynomial_decay_schedule_with_warmup

from datasets.errors import InputError, did_you_mean

from .settings import OptimizerSettings

# Which parameters learn at which multiple of the base rate, by the beginning of their names. The rest: the base rate.
PARTS = {
    "head": ("frame_head.", "video_head.", "ans_encoder.pooler.", "vision_proj.", "text_proj."),
    "answers": ("ans_encoder.lm.",),
    "temporal": ("temporal_embedding.", "temporal_encoder."),
}
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adamw": partial(torch.optim.AdamW, betas=(0.9, 0.98), eps=1e-8, fused=True),
    "adam": partial(torch.optim.Adam, betas=(0.9, 0.98), eps=1e-8, fused=True),
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}


def freeze_parameters(model: nn.Module, prefixes: Iterable[str]) -> None:
    """Keeps parameters whose names begin with one of the prefixes out of training.

    Raises:
        InputError: a prefix fits no parameter of the model.
    """
    named = dict(model.named_parameters())
    for prefix in prefixes:
        chosen = [name for name in named if name == prefix or name.startswith(prefix.rstrip(".") + ".")]
        if not chosen:
            parts = {name.rsplit(".", depth)[0] for name in named for depth in (1, 2, 3)}
            raise InputError(f"freeze: no parameter's name begins with {prefix!r}{did_you_mean(prefix, parts)}")
        for name in chosen:
            named[name].requires_grad_(False)


def parameter_groups(model: nn.Module, settings: OptimizerSettings) -> list[dict]:
    """Every trainable parameter in exactly one group, by its rate and whether it decays; no empty groups.

    Biases and the weights of LayerNorms do not decay.
    """
    norm_parameters = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, nn.LayerNorm)
        for parameter in module.parameters(recurse=False)
    }
    multipliers = {
        "base": 1.0,
        "head": settings.lr_mult_head,
        "answers": settings.lr_mult_ans,
        "temporal": settings.lr_time,
    }
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        part = next((part for part, starts in PARTS.items() if name.startswith(starts)), "base")
        decays = not name.endswith(".bias") and id(parameter) not in norm_parameters
        groups.setdefault((part, decays), []).append(parameter)
    return [
        {
            "name": part if decays else f"{part}_no_decay",
            "params": parameters,
            "lr": settings.learning_rate * multipliers[part],
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        for (part, decays), parameters in groups.items()
    ]


def build_optimizer(model: nn.Module, settings: OptimizerSettings, total_steps: int) -> tuple[Optimizer, LambdaLR]:
    """Optimizer and schedule: linear warm-up, then polynomial decay to `end_lr` at the last step.

    Args:
        total_steps: optimizer steps of the whole run, on all devices together.
    """
    optimizer = OPTIMIZERS[settings.optim_type](parameter_groups(model, settings), lr=settings.learning_rate)
    warmup = settings.warmup_steps
    warmup_steps = round(warmup * total_steps) if isinstance(warmup, float) else warmup
    schedule = get_polynomial_decay_schedule_with_warmup(
        optimizer,
        num_warmup_steps=warmup_steps,
        num_training_steps=max(total_steps, warmup_steps + 1),
        lr_end=settings.end_lr,
        power=settings.decay_power,
    )
    return optimizer, schedule
