"""Records of how predictions were made, which lie beside them: shown in short, and compared."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets.errors import InputError
from datasets.files import read_json, record_path, sha256_of

Record = Mapping[str, Any]

# What may differ between files that are compared -> the keys that say so; those ending in _ begin the keys.
ASPECTS = {
    "questions of another split": ("test_split",),
    "other annotations": ("annotations_sha256",),
    "other answers to choose from": ("answers", "vocabulary_sha256"),
    "other frames": ("nframe", "trim", "image_size", "frames_"),
    "other clip features": ("max_video_len", "clips_"),
    "questions cut elsewhere": ("max_text_len",),
    "another probe": ("probe",),
    "another part of AGQA to train on": ("agqa_split",),
    "another precision": ("precision",),
    "computed in another way": ("published_quirks",),
    "other versions": ("dest_version", "torch_version", "pytorch-lightning_version", "transformers_version"),
}


def read_record(predictions: Path) -> dict[str, Any] | None:
    """The record beside predictions, None where there is none.

    Raises:
        InputError: it cannot be read, or tells of another file than the one that it lies beside.
    """
    path = record_path(predictions)
    if not path.is_file():
        return None
    record = read_json(path)
    if not isinstance(record, dict):
        raise InputError(f"{path} is not a JSON object; it should say how {predictions} was made: remove it")
    own = sha256_of(predictions)
    if record.get("predictions_sha256", own) != own:
        raise InputError(
            f"{path} tells how another file was made than {predictions} is now; remove it, or predict again"
        )
    return record


def describe(record: Record) -> str:
    """The checkpoint, the first of its hash, and what else tells predictions apart, in a line."""
    checkpoint = Path(str(record.get("checkpoint", "?"))).name
    parts = [f"{checkpoint} {_short(record.get('checkpoint_sha256', '?'))}", f"{record.get('test_split', '?')} split"]
    told = {key: record[key] for key in ("probe", "agqa_split", "nframe", "precision") if key in record}
    parts += [f"{key} {value}" for key, value in told.items() if value not in ("", "none")]
    return ", ".join(parts + (["published_quirks"] if record.get("published_quirks") else []))


def provenance(names: Sequence[str], records: Sequence[Record | None], truth: str | os.PathLike) -> list[str]:
    """Lines to show: how each file was made, as far as that is known, what differs, and what does not fit `truth`."""
    made = [
        f"{name} is by {describe(record)}" for name, record in zip(names, records, strict=True) if record is not None
    ]
    return made + differences(names, records) + other_truth(names, records, truth)


def differences(names: Sequence[str], records: Sequence[Record | None]) -> list[str]:
    """Names what differs between files but the checkpoint, as in ``A and B: other frames (nframe 16, 8)``."""
    known = [(name, record) for name, record in zip(names, records, strict=True) if record is not None]
    lines = []
    for aspect, keys in ASPECTS.items():
        own = [(name, {key: record[key] for key in record if _is_of(key, keys)}) for name, record in known]
        own = [(name, settings) for name, settings in own if settings]  # without a temporal stream there are no clips
        values = {
            key: [_short(settings.get(key, "not recorded")) for _, settings in own]
            for key in dict.fromkeys(key for _, settings in own for key in settings)
        }
        shown = [f"{key} {', '.join(of)}" for key, of in values.items() if len(set(of)) > 1]
        if shown:
            lines.append(f"{_listed([name for name, _ in own])}: {aspect} ({'; '.join(shown)})")
    return lines


def other_truth(names: Sequence[str], records: Sequence[Record | None], truth: str | os.PathLike) -> list[str]:
    """Files that were predicted from other annotations than those that they are held against."""
    if not any(records):
        return []
    own = sha256_of(truth)
    return [
        f"{name}: its questions are of other annotations ({record.get('annotations')}) than {truth}"
        for name, record in zip(names, records, strict=True)
        if record and record.get("annotations_sha256", own) != own
    ]


def _is_of(key: str, keys: Sequence[str]) -> bool:
    return key in keys or any(beginning.endswith("_") and key.startswith(beginning) for beginning in keys)


def _short(value: Any) -> str:
    text = str(value)
    return text[:8] if len(text) == 64 else text  # a hash


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
