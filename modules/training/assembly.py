"""From settings to objects: constructors fed by name, and what a checkpoint has to say about the settings."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities.rank_zero import rank_zero_only

from datasets.errors import InputError
from modules.checkpoints.loading import CheckpointFile, load_weights
from modules.models.dest import DeST

# Settings that weights fix. With other sizes they cannot be loaded.
SETTINGS_OF_WEIGHTS = (
    "patch_size",
    "hidden_size",
    "input_video_embed_size",
    "max_pos_len",
    "vit_config",
    "bert_config",
    "answer_config",
)
# Settings that a test or a resumed run must share with the training that made the checkpoint.
SETTINGS_OF_INFERENCE = (
    "temporal",
    "head_width",
    "image_size",
    "nframe",
    "trim",
    "max_video_len",
    "max_text_len",
    "num_clips",
)
# Settings that say what the checkpoint is for, when no recipe does.
SETTINGS_OF_TASK = ("objective", "datasets", "exp_name")


# Settings that live on in a checkpoint's optimizer: those of a resumed run would be passed over.
SETTINGS_OF_OPTIMIZER = (
    "optim_type",
    "learning_rate",
    "lr_mult_head",
    "lr_mult_ans",
    "lr_time",
    "weight_decay",
    "freeze",
)
# Settings with which a resumed run may go on otherwise, but not without saying so.
SETTINGS_OF_COURSE = (
    "seed",
    "drop_rate",
    "batch_size",
    "questions_per_video",
    "max_epoch",
    "max_steps",
    "warmup_steps",
    "decay_power",
    "end_lr",
    "precision",
    "frozen_precision",
    "val_questions",
    "dataset_weights",
)


def construct(function: Callable, *sources: Any) -> Any:
    """Calls a class or a function whose arguments are found, by name, in the first source that has each.

    Args:
        sources: mappings, or objects with attributes. Arguments that none of them has keep their defaults.
    """
    arguments = {}
    for name in inspect.signature(function).parameters:
        for source in sources:
            if isinstance(source, Mapping):
                found, value = name in source, source.get(name)
            else:
                found, value = hasattr(source, name), getattr(source, name, None)
            if found:
                arguments[name] = value
                break
    return function(**arguments)


def locate(path: str) -> Any:
    """``"package.module.Name"`` -> the object of that name."""
    module, name = path.rsplit(".", 1)
    return getattr(import_module(module), name)


def settings_of_checkpoint(
    made_with: Mapping[str, Any], continues: bool, given: Collection[str], recipes: Sequence[str]
) -> dict[str, Any]:
    """The settings that a checkpoint decides.

    Args:
        made_with: the settings it was made with; empty for files from elsewhere.
        continues: it is tested or resumed; otherwise another training starts from it.
        given: names of the settings that the command line gives; they decide over the checkpoint's.
        recipes: of the command line.
    """
    keys = SETTINGS_OF_WEIGHTS
    if continues:
        keys += SETTINGS_OF_INFERENCE if recipes else SETTINGS_OF_INFERENCE + SETTINGS_OF_TASK
    return {key: made_with[key] for key in keys if key in made_with and key not in given}


def start_weights(
    network: DeST, checkpoint: CheckpointFile | None, needed: Collection[str] | None, answer_encoder: str
) -> None:
    """The weights a run starts from: the checkpoint's; without one random ones, which is said.

    Args:
        needed: parts that the checkpoint must bring; see `load_weights`.
        answer_encoder: name or folder of a DistilBERT, for when the checkpoint brings none; empty: random.
    """
    fresh: Collection[str] = ("ans_encoder.lm",)
    if checkpoint is not None:
        fresh = load_weights(network, checkpoint, needed).fresh
    else:
        rank_zero_only(print)("no load_path: random weights", flush=True)
    if answer_encoder and "ans_encoder.lm" in fresh:
        network.ans_encoder.start_from(answer_encoder)


def check_resumable(
    path: Path, made_with: Mapping[str, Any], vocabulary: Sequence[str] | None, config: Mapping[str, Any]
) -> None:
    """Raises InputError when the data have another answer vocabulary, or the network or the optimizer other settings,
    than the run that is to be continued. Settings that may change, and have, are told.

    Args:
        path: of the checkpoint.
        made_with: its metadata.
        vocabulary: of the data.
        config: the settings now.
    """
    before = made_with.get("vocabulary")
    if (before is None) != (vocabulary is None) or list(before or ()) != list(vocabulary or ()):
        raise InputError(
            f"{path} was trained on {len(before or ())} answers, and data_root has {len(vocabulary or ())} or others; "
            "resume with the data of that run, or start a new one with load_path instead of resume_from"
        )
    settings = made_with.get("config") or {}
    for key in (*SETTINGS_OF_WEIGHTS, *SETTINGS_OF_INFERENCE, *SETTINGS_OF_OPTIMIZER):
        if key in settings and settings[key] != config[key]:
            raise InputError(
                f"{key} is {settings[key]!r} in the run of {path} and {config[key]!r} here; resume it with "
                f"{key}={settings[key]!r}, or start a new run from its weights with load_path instead of resume_from"
            )
    changed = [
        f"{key}={config[key]!r} (was {settings[key]!r})"
        for key in SETTINGS_OF_COURSE
        if key in settings and settings[key] != config[key]
    ]
    if changed:
        rank_zero_only(print)(f"resumed with other settings than before: {', '.join(changed)}", flush=True)
