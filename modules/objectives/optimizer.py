"""Optimizer groups and the learning-rate schedule of the published recipes."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers import get_polynomial_decay_schedule_with_warmup

from datasets.errors import InputError, did_you_mean

from .settings import OptimizerSettings

# Which parameters learn at which multiple of the base rate, by the beginning of their names. The rest: the base rate.
HEADS = ("frame_head.", "video_head.", "ans_encoder.pooler.", "vision_proj.", "text_proj.")
ANSWERS = ("ans_encoder.lm.",)
TEMPORAL = ("temporal_embedding.", "temporal_encoder.")


def _adamw(groups: list[dict], settings: OptimizerSettings) -> Optimizer:
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), eps=1e-8, fused=True)


def _adam(groups: list[dict], settings: OptimizerSettings) -> Optimizer:
    return torch.optim.Adam(groups, lr=settings.learning_rate, betas=(0.9, 0.98), eps=1e-8, fused=True)


def _sgd(groups: list[dict], settings: OptimizerSettings) -> Optimizer:
    return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=0.9)


OPTIMIZERS = {"adamw": _adamw, "adam": _adam, "sgd": _sgd}


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
        part = next(
            (
                part
                for part, prefixes in (("head", HEADS), ("answers", ANSWERS), ("temporal", TEMPORAL))
                if name.startswith(prefixes)
            ),
            "base",
        )
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
    optimizer = OPTIMIZERS[settings.optim_type](parameter_groups(model, settings), settings)
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


def restored_problem(optimizer: Optimizer, schedule: LambdaLR) -> str | None:
    """Describes a fault in the state that a checkpoint has given them; None if it can be that of these parameters.

    PyTorch takes whatever a file holds, and stumbles over it in a step.
    """
    kinds: set[frozenset[str]] = set()
    for group in optimizer.param_groups:
        if not isinstance(group.get("name"), str):
            return f"the name of a group of parameters is {group.get('name')!r}"
        for key, default in optimizer.defaults.items():
            if not _is_like(group.get(key, default), default):
                return f"{key} of the parameters {group['name']!r} is {group[key]!r}"
        for parameter in group["params"]:
            if not _is_state_of(parameter, optimizer.state.get(parameter, {}), kinds):
                return f"what is kept of one of the parameters {group['name']!r} does not fit it"
    rates = schedule.base_lrs
    if not isinstance(rates, list) or len(rates) != len(optimizer.param_groups) or not all(map(_is_number, rates)):
        return f"the learning rates that the schedule starts from are {rates!r}"
    if not isinstance(schedule.last_epoch, int):
        return f"the schedule's step is {schedule.last_epoch!r}"
    return None


def _is_like(value: Any, default: Any) -> bool:
    if default is None or isinstance(default, bool):
        return value is None or isinstance(value, bool)
    if isinstance(default, tuple):
        return isinstance(value, tuple | list) and len(value) == len(default) and all(map(_is_number, value))
    return _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_state_of(parameter: nn.Parameter, state: Any, kinds: set[frozenset[str]]) -> bool:
    """True if an optimizer may have kept this of a parameter: the same kinds of numbers as of any other, in its shape.

    Args:
        kinds: those of the parameters before; this one's join them.
    """
    if not isinstance(state, dict):
        return False
    if state:
        kinds.add(frozenset(state))
    for key, value in state.items():
        shape = torch.Size() if key == "step" else parameter.shape
        if value is not None and not (isinstance(value, torch.Tensor) and value.shape == shape):
            return False
    return len(kinds) <= 1
