"""Resolves a command line before anything large is built: for a run, and for ``print_config``."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from datamodules.probes import chosen_probes
from datasets.annotations import note_of_answers, read_answers
from datasets.errors import InputError
from datasets.settings import Tie, tied
from modules.checkpoints.reader import CheckpointFile, read_checkpoint
from modules.config.assembly import construct, settings_of_checkpoint
from modules.config.checks import check_combinations, check_values
from modules.config.machine_checks import check_machine
from modules.config.path_checks import check_paths
from modules.config.rank_environment import check_ranks

from .prediction_writer import check_free, probed_path
from .run_folder import find_checkpoint, predictions_path


@dataclass(frozen=True)
class RunPlan:
    """Plan of a run: its settings, and the files that it begins and ends with."""

    config: dict[str, Any]  # all settings; those that the checkpoint decides are the checkpoint's
    checkpoint: CheckpointFile | None  # what `load_path` or `resume_from` names; None: neither is set
    made_with: Mapping[str, Any]  # the record in the checkpoint of its making; empty for files from elsewhere
    recipes: Sequence[str]  # of the command line, or of the run that is continued
    brought: Mapping[str, Any]  # tokenizer and vocabulary of the checkpoint, or the answers of the user, by name
    resume_path: Path | None  # the file from which a run goes on; None: it starts anew, or is a test
    predictions: Path | None  # the file that a test will write, probes' files beside it; None: it is a training


def plan_run(config: Mapping[str, Any], schema: type, given: Collection[str], recipes: Sequence[str]) -> RunPlan:
    """Asks the checkpoint, and checks paths and combinations of settings.

    Args:
        given: names of the settings that the command line gives.

    Raises:
        InputError: what would stop the run.
    """
    check_paths(config)
    check_machine(config, torch.cuda.device_count(), os.environ)  # before a large file is read
    checkpoint = construct(find_checkpoint, config) if config["resume_from"] is not None else None
    resume_path = checkpoint.path if checkpoint is not None else None
    if checkpoint is None and config["load_path"] is not None:
        checkpoint = read_checkpoint(config["load_path"])
    made_with = (checkpoint.metadata if checkpoint is not None else None) or {}
    continues = config["test_only"] or resume_path is not None
    decided = settings_of_checkpoint(schema, made_with.get("config") or {}, continues, given, recipes)
    config = check_values({**config, **decided}, schema, found_in=checkpoint and checkpoint.path)
    check_combinations(config)
    check_ranks(config["num_gpus"], config["num_nodes"], os.environ)
    predictions = construct(predictions_path, config) if config["test_only"] else None
    config["probe"] = chosen_probes(config["probe"], config["temporal"])
    for probe in config["probe"] or ["none"] if predictions is not None else ():
        check_free(probed_path(predictions, probe), config["overwrite"])
    brought = {}
    if made_with.get("tokenizer_vocabulary") and "tokenizer" not in given:
        brought["tokenizer"] = made_with["tokenizer_vocabulary"]
    own = construct(read_answers, config)
    if own:
        rank_zero_only(print)(f"note: {note_of_answers(own, made_with.get('vocabulary'))}", flush=True)
    if (vocabulary := own or made_with.get("vocabulary")) and config["test_only"]:
        brought["vocabulary"] = vocabulary
    recipes = made_with.get("recipes", recipes) if resume_path is not None else recipes
    return RunPlan(config, checkpoint, made_with, recipes, brought, resume_path, predictions)


def check_resumable(plan: RunPlan, vocabulary: Sequence[str] | None, schema: type) -> None:
    """Raises InputError when the data have another answer vocabulary, or the network or the optimizer other settings,
    than the run that is to be continued. Settings that may change, and have, are told.
    """
    path, config, made_with = plan.resume_path, plan.config, plan.made_with
    before = made_with.get("vocabulary")
    if (before is None) != (vocabulary is None) or list(before or ()) != list(vocabulary or ()):
        raise InputError(
            f"{path} was trained on {len(before or ())} answers, and data_root has {len(vocabulary or ())} or others; "
            "resume with the data of that run, or start a new one with load_path instead of resume_from"
        )
    settings = made_with.get("config") or {}
    for key in tied(schema, Tie.WEIGHTS, Tie.INFERENCE, Tie.OPTIMIZER):
        if key in settings and settings[key] != config[key]:
            raise InputError(
                f"{key} is {settings[key]!r} in the run of {path} and {config[key]!r} here; resume it with "
                f"{key}={settings[key]!r}, or start a new run from its weights with load_path instead of resume_from"
            )
    changed = [
        f"{key}={config[key]!r} (was {settings[key]!r})"
        for key in tied(schema, Tie.COURSE)
        if key in settings and settings[key] != config[key]
    ]
    if changed:
        rank_zero_only(print)(f"resumed with other settings than before: {', '.join(changed)}", flush=True)
