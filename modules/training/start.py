"""The start of a run: the weights it begins with, and whether a checkpoint can be resumed with its settings."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities.rank_zero import rank_zero_only

from datasets.errors import InputError
from datasets.settings import Tie, tied
from modules.checkpoints.loading import CheckpointFile, load_weights
from modules.models.dest import DeST


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
    path: Path,
    made_with: Mapping[str, Any],
    vocabulary: Sequence[str] | None,
    config: Mapping[str, Any],
    schema: type,
) -> None:
    """Checks that data, network and optimizer are those of the run that is to be continued.

    Settings that may change, and have, are told.

    Args:
        path: of the checkpoint.
        made_with: its metadata.
        vocabulary: of the data.
        config: the settings now.
        schema: their dataclass.

    Raises:
        InputError: the data have another answer vocabulary, or the network or the optimizer other settings.
    """
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
