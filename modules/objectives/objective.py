"""Base class of the objectives: optimizer, seeding, the contents of a checkpoint."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.utilities.types import OptimizerLRScheduler

from modules.models.dest import DeST

from .host_group import make_host_group
from .optimizer import build_optimizer, freeze_parameters
from .settings import OptimizerSettings


class Objective(pl.LightningModule):
    """A network and how it is trained; subclasses bring the steps.

    Args:
        network: its parameters bear published names.
        freeze: beginnings of the names of the parameters that stay as they are.
        seed: what the random numbers of every step start from.
    """

    network_class: type[DeST]  # the class of the network that an objective trains
    model: DeST

    def __init__(
        self,
        network: DeST,
        optimizer: OptimizerSettings,
        freeze: Iterable[str] = (),
        seed: int = 0,
        compile: bool = False,
        grad_checkpointing: bool = False,
    ):
        super().__init__()
        self.model = network
        self.optimizer_settings = optimizer
        self.seed = seed
        # Goes into every checkpoint under "dest": config, vocabulary, versions (plain types only). run.py fills it.
        self.metadata: dict[str, Any] = {}
        self.host_group: dist.ProcessGroup | None = None  # for what the ranks exchange besides tensors on the device
        # The place of a batch among those whose gradients make an optimizer step.
        self.begins_step = self.ends_step = True
        freeze_parameters(network, freeze)
        if grad_checkpointing:
            network.enable_grad_checkpointing()
        if compile:
            network.compile_encoders()

    def setup(self, stage: str) -> None:
        if self.host_group is None:
            self.host_group = make_host_group()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer, schedule = build_optimizer(
            self.model, self.optimizer_settings, int(self.trainer.estimated_stepping_batches)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # Dropout depends on (seed, epoch, step, rank) alone: a resumed run draws what it would have drawn.
        entropy = (self.seed, self.current_epoch, batch_idx, self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        accumulated = self.trainer.accumulate_grad_batches
        self.begins_step = batch_idx % accumulated == 0
        self.ends_step = (batch_idx + 1) % accumulated == 0 or batch_idx + 1 == self.trainer.num_training_batches

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Published names on disk: our ``model.`` in front of every key goes."""
        checkpoint["state_dict"] = _rename(checkpoint["state_dict"], old="model.", new="")
        checkpoint["dest"] = self.metadata

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"] = _rename(checkpoint["state_dict"], old="", new="model.")


def _rename(state: Mapping[str, torch.Tensor], old: str, new: str) -> dict[str, torch.Tensor]:
    return {new + key.removeprefix(old): value for key, value in state.items()}
