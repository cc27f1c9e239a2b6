"""Settings of the optimizer and its schedule."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from datasets.settings import Amount, Positive, Tie, setting


@dataclass(frozen=True)
class OptimizerSettings:
    optim_type: Literal["adamw", "adam", "sgd"] = setting(
        "adamw", "optimizer; betas 0.9, 0.98 (sgd: momentum 0.9)", Tie.OPTIMIZER
    )
    learning_rate: Positive = setting(2e-5, "peak, of parameters without a multiplier", Tie.OPTIMIZER)
    lr_mult_head: Amount = setting(50.0, "learning rate of the heads: learning_rate × this", Tie.OPTIMIZER)
    lr_mult_ans: Amount = setting(1.0, "of the answer encoder: × this", Tie.OPTIMIZER)
    lr_time: Amount = setting(10.0, "of the temporal stream: × this", Tie.OPTIMIZER)
    weight_decay: Amount = setting(0.01, "none on biases and norms", Tie.OPTIMIZER)
    warmup_steps: Annotated[int | float, Ge(0)] = setting(
        0.1, "optimizer steps (int) or share of the run (float)", Tie.COURSE
    )
    decay_power: Positive = setting(1.0, "of the decay after warm-up; 1: linear", Tie.COURSE)
    end_lr: Amount = setting(0.0, "learning rate at the end of the decay", Tie.COURSE)
