"""Resolves a command line before anything large is built: for a run, and for ``print_config``."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from modules.checkpoints.reader import CheckpointFile, read_checkpoint
from modules.config.assembly import construct, settings_of_checkpoint
from modules.config.checks import check_combinations, check_values
from modules.config.machine_checks import check_machine
from modules.config.path_checks import check_paths
from modules.config.rank_environment import check_ranks

from .prediction_writer import check_free
from .run_folder import find_checkpoint, predictions_path


@dataclass(frozen=True)
class RunPlan:
    """
    Attributes:
        config: all settings; those that the checkpoint decides are the checkpoint's.
        checkpoint: what `load_path` or `resume_from` names; None: neither is set.
        made_with: what the checkpoint records of its making; empty for files from elsewhere.
        resume_path: the file from which a run goes on; None: it starts anew, or is a test.
        predictions: the file that a test will write; None: it is a training.
    """

    config: dict[str, Any]
    checkpoint: CheckpointFile | None
    made_with: Mapping[str, Any]
    resume_path: Path | None
    predictions: Path | None


def plan_run(config: Mapping[str, Any], schema: type, given: Collection[str], recipes: Sequence[str]) -> RunPlan:
    """Asks the checkpoint, and checks paths and combinations of settings.

    Args:
        config: all settings, as `check_values` returned them.
        schema: of the settings, as for `check_values`.
        given: names of the settings that the command line gives.
        recipes: of the command line.

    Raises:
        InputError: what would stop the run.
    """
    check_paths(config)
    check_machine(config, torch.cuda.device_count(), os.environ)  # before a large file is read
    resume_path = construct(find_checkpoint, config) if config["resume_from"] is not None else None
    source = resume_path or config["load_path"]
    checkpoint = read_checkpoint(source) if source is not None else None
    made_with = (checkpoint.metadata if checkpoint is not None else None) or {}
    continues = config["test_only"] or resume_path is not None
    decided = settings_of_checkpoint(schema, made_with.get("config") or {}, continues, given, recipes)
    config = check_values({**config, **decided}, schema, found_in=source)
    check_combinations(config)
    check_ranks(config["num_gpus"], config["num_nodes"], os.environ)
    predictions = construct(predictions_path, config) if config["test_only"] else None
    if predictions is not None:
        check_free(predictions, config["overwrite"])
    return RunPlan(config, checkpoint, made_with, resume_path, predictions)
