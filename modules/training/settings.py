"""Settings of a run: what it does, its length, the machine, its checkpoints."""

from dataclasses import dataclass
from typing import Literal

from datasets.settings import Amount, Count, Tie, Whole, setting


@dataclass(frozen=True)
class RunSettings:
    objective: Literal["qa", "mc", "trm"] = setting(
        "qa", "qa: open-ended questions; mc: multiple choice; trm: Temporal Referring Modeling (pre-training)", Tie.TASK
    )
    exp_name: str = setting("dest", "names the run's folder, LOG_DIR/EXP_NAME_seedSEED/version_K", Tie.TASK)
    seed: Whole = setting(0, "of all random numbers: weights, order of the data, sampling, dropout", Tie.COURSE)
    load_path: str | None = setting(None, "checkpoint to take weights from; None: random start")
    resume_from: str | None = setting(
        None, 'checkpoint to continue; "last": the newest of this experiment; "auto": if any'
    )
    test_only: bool = setting(False, "no training: predict the test split with load_path")
    fast_dev_run: bool | Whole = setting(False, "N (True: 1) batches of training and of validation, nothing written")
    log_dir: str = setting("result", "folder of runs and predictions")
    logger: Literal["tensorboard", "wandb", "both"] = setting(
        "tensorboard", "shows curves and examples; wandb: Weights & Biases; metrics.csv is always written"
    )
    overwrite: bool = setting(False, "whether a predictions file that exists may be replaced")
    published_quirks: bool = setting(False, "compute as the published code did at test time, two faults included")


@dataclass(frozen=True)
class TrainingSettings:
    batch_size: Count = setting(64, "questions per optimizer step, over all GPUs and accumulated batches", Tie.COURSE)
    per_gpu_batchsize: Count = setting(
        8, "questions per GPU in one pass; batch_size is reached by accumulating gradients"
    )
    max_epoch: Count | None = setting(None, "passes over the training split; None: max_steps decides", Tie.COURSE)
    max_steps: Count | None = setting(None, "optimizer steps; None: max_epoch decides", Tie.COURSE)
    val_check_interval: int | float = setting(
        1.0, "between validations: optimizer steps (int) or share of an epoch (float)"
    )
    skip_bad_steps: Whole = setting(0, "steps without a finite loss to leave out before one ends the run")


@dataclass(frozen=True)
class MachineSettings:
    accelerator: Literal["auto", "gpu", "cpu"] = setting("auto", "auto: the GPU if there is one")
    num_gpus: Count = setting(1, "GPUs per node; with accelerator=cpu, processes")
    num_nodes: Count = setting(1, "machines")
    precision: Literal[32, "tf32", 16, "bf16"] = setting(
        16, "32: float32; tf32: its products in TF32; 16, bf16: mixed", Tie.COURSE
    )
    compile: bool = setting(False, "torch.compile the network")
    grad_checkpointing: bool = setting(False, "compute activations again in the backward pass: less memory, more time")


@dataclass(frozen=True)
class CheckpointSettings:
    checkpoint_steps: Count = setting(1000, "optimizer steps between two checkpoints; validations write their own, too")
    checkpoint_minutes: Amount | None = setting(None, "and minutes; None: by steps alone")
