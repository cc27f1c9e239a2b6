"""Lightning's Trainer, as a run's settings want it."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy

from modules.config.machine_checks import takes_slurm_for_a_machine

from .checkpointing import AtomicCheckpointIO
from .precision import precision_plugin

for _name in ("pytorch_lightning", "lightning_fabric"):  # their advertisements, which importing them switches on
    logging.getLogger(_name).setLevel(logging.WARNING)


def make_trainer(
    config: Mapping[str, Any], folder: Path, callbacks: Sequence[Callback], loggers: Sequence[Logger]
) -> pl.Trainer:
    devices = config["num_gpus"] * config["num_nodes"]
    on_gpu = config["accelerator"] != "cpu" and torch.cuda.is_available()
    return pl.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=config["num_gpus"],
        num_nodes=config["num_nodes"],
        # Buffers are constants. DDP would send them before every forward pass, and in validation, where ranks have
        # different numbers of batches, some would wait for a pass that never comes.
        strategy=DDPStrategy(broadcast_buffers=False) if devices > 1 else "auto",
        max_epochs=config["max_epoch"] or -1,
        max_steps=config["max_steps"] or -1,
        accumulate_grad_batches=max(1, config["batch_size"] // (config["per_gpu_batchsize"] * devices)),
        fast_dev_run=config["fast_dev_run"],
        default_root_dir=folder,
        logger=list(loggers),
        log_every_n_steps=10,
        callbacks=list(callbacks),
        plugins=[
            AtomicCheckpointIO(),
            precision_plugin(config["precision"], "cuda" if on_gpu else "cpu"),
            *([LightningEnvironment()] if takes_slurm_for_a_machine() else []),
        ],
        enable_model_summary=False,
        num_sanity_val_steps=1,
        use_distributed_sampler=False,  # the data module shards; each question exactly once
        inference_mode=False,  # but no_grad: in inference mode autocast keeps no rounded weights from chunk to chunk
    )
