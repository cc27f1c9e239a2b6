"""Training and validation on the rehearsal's device, by Lightning's own Trainer as run.py sets it up."""

import contextlib

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities import move_data_to_device
from pytorch_lightning.accelerators import CPUAccelerator
from pytorch_lightning.strategies import SingleDeviceStrategy

from modules.models.settings import ModelSizes
from modules.objectives.objective import Objective
from modules.training.logs.progress import ProgressBar
from modules.training.precision import precision_plugin

from .device import Device

# As many layers, heads and tokens as published: what is narrower changes no kernel.
SIZES = ModelSizes(
    **{"hidden_size": 96, "head_width": 32, "image_size": 64, "patch_size": 16, "intermediate_size": 64},
    **{"answer_intermediate_size": 64, "vocab_size": 1000, "input_video_embed_size": 16},
)


class _Accelerator(CPUAccelerator):
    """Takes any device; Lightning's own for CUDA wants a driver."""

    setup_device = lambda *_: None  # noqa: E731


class _Strategy(SingleDeviceStrategy):
    """Finds the weights where they are, and leaves them there."""

    model_to_device = teardown = lambda _: None


class _Batches:
    """A few batches, as a data loader pins them; counts what is done with the last but one until the last is wanted."""

    def __init__(self, batches: list, device: Device, name: str):
        self.batches, self.device, self.name = [device.pin(batch) for batch in batches], device, name

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self):
        *first, counted, last = self.batches
        yield from first
        with self.device.step(self.name) as self.step:
            yield counted
        yield last


def check(stage: str, task: Objective, batches: list, device: Device, name: str, kernels: int) -> None:
    """Checks what the last batch but one costs: by then all that is made once has been made.

    It reads nothing, but for a prediction, which whoever writes it down reads once. That is made as in run.py, under
    Lightning's autocast, of a batch on its way from a data loader.
    """
    device.place(task)
    if stage == "predict":
        with as_in_a_run():
            task.eval().on_predict_start()
            with device.step(name) as step:
                task.predict_step(move_data_to_device(device.pin(batches[0]), device.device), 0)
        return step.check(kernels, reads=1)
    off = ("logger", "enable_checkpointing", "enable_model_summary", "use_distributed_sampler", "inference_mode")
    trainer = pl.Trainer(
        **{"accelerator": _Accelerator(), "strategy": _Strategy(device.device), "callbacks": [ProgressBar()]},
        **{"plugins": [precision_plugin(16, "cuda")], **dict.fromkeys(off, False), "max_epochs": 1},
        **{"accumulate_grad_batches": 1, "limit_val_batches": 1.0, "log_every_n_steps": 1000},
    )
    loader = _Batches(batches, device, name)
    if stage == "train":
        _replace_backward(task, device)
        trainer.fit(task, loader)
    else:
        trainer.validate(task, loader, verbose=False)
    return loader.step.check(kernels)


def _replace_backward(task: Objective, device: Device) -> None:
    """Autograd runs on real devices alone, and its kernels are not counted: on others gradients come from nowhere, and
    what Lightning does with them follows.
    """

    def backward(loss: torch.Tensor) -> None:
        if device.is_real:
            with device.uncounted():
                return loss.backward()
        for parameter in task.parameters():
            if parameter.requires_grad and parameter.grad is None:
                parameter.grad = torch.empty_like(parameter)
        return None

    task.backward = backward


@contextlib.contextmanager
def as_in_a_run():
    with torch.no_grad(), precision_plugin(16, "cuda").forward_context():
        yield
