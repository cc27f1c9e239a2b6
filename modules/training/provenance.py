"""The record beside predictions: of which checkpoint, on which questions, with which settings."""

import json
import tomllib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.files import sha256_of
from modules.checkpoints.metadata import plain, trained_on, versions_of

if TYPE_CHECKING:
    from .plan import RunPlan

# What changes answers; those that a version lacks are left out.
SETTINGS = ("test_split", "precision", "published_quirks", "temporal")
SETTINGS += ("nframe", "trim", "image_size", "max_text_len")
PACKAGES = ("torch", "pytorch-lightning", "transformers")
PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def prediction_record(plan: "RunPlan", data: Any) -> dict[str, Any]:
    """The record as a flat JSON object. The checkpoint is hashed, which takes seconds.

    Args:
        data: the data module; of pre-training, which has several files of annotations, these are not recorded.
    """
    assert plan.checkpoint is not None  # a test has one
    path, trained = plan.checkpoint.path, plan.made_with.get("config") or {}
    record: dict[str, Any] = {
        "checkpoint": str(path),
        "checkpoint_sha256": sha256_of(path),
        "trained_on": trained_on(plan.made_with),
        "agqa_split": trained.get("agqa_split", ""),
        "dataset": "_".join(plan.config["datasets"]),
        **{key: plan.config[key] for key in SETTINGS if key in plan.config},
        **({"max_video_len": plan.config["max_video_len"]} if plan.config["temporal"] else {}),
    }
    if plan.config["objective"] != "trm":
        record |= {
            "annotations": str(data.predicted_file),
            "annotations_sha256": sha256_of(data.predicted_file),
            **_extraction(data),
        }
    if plan.config["objective"] == "qa":
        record |= {
            "answers": len(data.vocabulary),
            "vocabulary_sha256": sha256(json.dumps(data.vocabulary).encode()).hexdigest(),
        }
    versions = versions_of(PACKAGES)
    if PROJECT.is_file():  # a copy of the sources may lack it
        versions["dest"] = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["version"]
    return plain({**record, **{f"{package}_version": version for package, version in versions.items()}})


def _extraction(data: Any) -> dict[str, Any]:
    """Settings that frames and features were extracted with, as far as known, and the features' file by its size."""
    found: Mapping[str, Mapping[str, Any] | None] = data.preprocessing
    settings = {f"{kind}_{name}": value for kind, of in found.items() for name, value in (of or {}).items()}
    if (path := data.features_file) is not None:
        settings |= {"clips": str(path), "clips_bytes": path.stat().st_size}
    return settings
