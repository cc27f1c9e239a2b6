"""A checkpoint file and settings to a network: the one way there for training, tests, inference and notebooks."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from datasets.errors import InputError, did_you_mean
from modules.config.assembly import construct
from modules.config.rank_environment import is_first_rank
from modules.models.dest import DeST
from modules.models.settings import ModelSizes

from .loading import load_weights
from .metadata import infer_sizes
from .reader import CheckpointFile, read_checkpoint

# Task -> the streams of its network.
TASKS = {
    "anetqa": {"spatial": True, "temporal": True},
    "anetqa_mean": {"spatial": True, "temporal": False},
    "agqa": {"spatial": True, "temporal": True},
    "agqa_mean": {"spatial": True, "temporal": False},
    "trm": {"spatial": False, "temporal": True},
}


def build_network(
    checkpoint: CheckpointFile | None,
    settings: Mapping[str, Any],
    network_class: type[DeST] = DeST,
    needed: Collection[str] | None = None,
    answer_encoder: str = "",
    verbose: bool = True,
) -> DeST:
    """A network with the weights of a checkpoint, or with random ones.

    Args:
        settings: by the names that config.py and the arguments of `network_class` have. Sizes that are not among them
            are the checkpoint's, and as published where that does not tell.
        needed: parts that the checkpoint must bring; see `load_weights`.
        answer_encoder: name or folder of a DistilBERT to start from where the checkpoint brings none; empty: random.

    Raises:
        InputError: as `load_weights`, or the sizes cannot be told.
    """
    network = construct(network_class, {"sizes": find_sizes(checkpoint, settings)}, settings)
    fresh: Collection[str] = ("ans_encoder.lm",)
    if checkpoint is not None:
        fresh = load_weights(network, checkpoint, needed, verbose).fresh
    elif verbose and is_first_rank():
        print("no load_path: random weights", flush=True)
    if answer_encoder and "ans_encoder.lm" in fresh:
        network.ans_encoder.start_from(answer_encoder)
    return network


def find_sizes(checkpoint: CheckpointFile | None, settings: Mapping[str, Any]) -> ModelSizes:
    """Sizes of the settings, else of the checkpoint, else as published."""
    sizes = {"max_clips": settings["max_pos_len"]} if "max_pos_len" in settings else {}
    for group in (settings, *(settings.get(part, {}) for part in ("vit_config", "bert_config", "answer_config"))):
        sizes |= {field.name: group[field.name] for field in fields(ModelSizes) if field.name in group}
    if checkpoint is not None and len(sizes) < len(fields(ModelSizes)):
        sizes = infer_sizes(checkpoint).as_dict() | sizes
    return ModelSizes(**sizes)


def load_model(path: str | Path, task: str, published_quirks: bool = False) -> DeST:
    """A network, ready to answer, from a checkpoint file.

    Args:
        path: any file that `read_checkpoint` reads; sizes are found in it.
        task: "anetqa", "anetqa_mean", "agqa", "agqa_mean" or "trm".

    Returns:
        the network in evaluation mode, on the CPU, in float32. ``model(batch)`` takes a mapping with ``frames``
        [V, F, 3, H, W], ``clips`` [V, S, in], ``clip_mask`` [V, S] (as far as the task has the stream),
        ``question_ids, question_mask`` [Q, L], ``video_index`` [Q] and ``answer_ids, answer_mask`` [A, L], and returns
        logits [Q, A].

    Raises:
        InputError: the task is not known, or the file cannot be read or does not hold such a network.
    """
    if task not in TASKS:
        raise InputError(f"no task is called {task!r}{did_you_mean(task, TASKS)}; known: {', '.join(TASKS)}")
    if published_quirks and TASKS[task] != TASKS["anetqa"]:
        raise InputError(f"published_quirks belong to the published anetqa.ckpt and agqa.ckpt; task={task!r} has none")
    return build_network(read_checkpoint(path), {**TASKS[task], "published_quirks": published_quirks}).eval()
