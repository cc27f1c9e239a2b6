"""The record of its making that a checkpoint saved here keeps, and the sizes of the network of any."""

import math
import platform
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from datasets.errors import InputError
from modules.models.settings import ModelSizes

from .names import KINDS, WAYS_OUT, kind_of, published_name, published_weights
from .reader import CheckpointFile

_WORDS = "text_encoder.embeddings.word_embeddings.weight"
_PATCHES = "visual_encoder.patch_embed.proj.weight"
_POSITIONS = "visual_encoder.pos_embed"
_STACK = "text_encoder.encoder.layer."
# Size -> the weight, a matrix, that tells it, and the axis.
_TOLD_BY = {
    "vocab_size": (_WORDS, 0),
    "hidden_size": (_WORDS, 1),
    "intermediate_size": (_STACK + "0.intermediate.dense.weight", 0),
    "max_text_positions": ("text_encoder.embeddings.position_embeddings.weight", 0),
    "num_token_types": ("text_encoder.embeddings.token_type_embeddings.weight", 0),
    "answer_intermediate_size": ("ans_encoder.lm.transformer.layer.0.ffn.lin1.weight", 0),
    "head_width": ("ans_encoder.pooler.1.weight", 0),
    "input_video_embed_size": ("temporal_embedding.proj.weight", 1),
    "max_clips": ("temporal_embedding.frame_pos_embed.weight", 0),
}
TOY = "toy"  # the recipe for a world of drawings (preproc/make_toy.py)
PACKAGES = ("torch", "pytorch-lightning", "transformers", "timm", "numpy")  # whose versions are kept


def make_metadata(
    sizes: ModelSizes,
    config: Mapping[str, Any],
    vocabulary: Iterable[str] | None = None,
    tokenizer_vocabulary: Iterable[str] | None = None,
    preprocessing: Mapping[str, Any] | None = None,
    recipes: Iterable[str] = (),
) -> dict[str, Any]:
    """The record for inference beside weights and data, in plain types alone, so that the strict reader takes it.

    Args:
        preprocessing: what the frames and the clip features were extracted with, as `QADataModule.preprocessing` has
            it, so that a video from elsewhere can be given the same.
    """
    return plain(
        {
            "sizes": sizes.as_dict(),
            "config": config,
            "vocabulary": None if vocabulary is None else list(vocabulary),
            "tokenizer_vocabulary": None if tokenizer_vocabulary is None else list(tokenizer_vocabulary),
            "preprocessing": preprocessing,
            "recipes": list(recipes),
            "versions": {"python": platform.python_version(), **versions_of(PACKAGES)},
        }
    )


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Versions of those packages that are installed."""
    versions = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def trained_on(metadata: Mapping[str, Any]) -> str:
    """Says in a line what a network was trained on, from its record; nothing where there is none."""
    config, recipes = metadata.get("config") or {}, metadata.get("recipes") or []
    if not config.get("datasets"):
        return ""
    facts = [f"{len(metadata['vocabulary']):,} answers"] if metadata.get("vocabulary") else []
    facts += [f"{config['nframe']} frames per video"] if "nframe" in config else []
    facts += [name for name in recipes if not name.startswith("file_")]  # the names that files of settings get
    said = f"{', '.join(config['datasets'])} ({', '.join(facts)})"
    return f"{said}: drawings of the toy world alone, answers to other videos mean nothing" if TOY in recipes else said


def plain(value: Any) -> Any:
    """Rebuilds a value from dicts, lists, strings, numbers, booleans and None alone. Else a TypeError."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (str, Path)):
        return str(value)
    if hasattr(value, "item"):  # a number of NumPy or torch
        return plain(value.item())
    raise TypeError(f"{value!r} ({type(value).__name__}) has no place in a checkpoint")


def infer_sizes(file: CheckpointFile) -> ModelSizes:
    """The sizes of the network in a file: from its metadata, or else from the shapes of its weights.

    Shapes do not tell the number of heads; it is taken to be width / 64, as in all published files. Sizes of parts that
    the file lacks keep their defaults.

    Raises:
        InputError: the file lacks the image or the text encoder, or its metadata holds other sizes than ours.
    """
    known = (file.metadata or {}).get("sizes")
    if known is not None:
        return _recorded_sizes(file.path, known)
    weights, _ = published_weights(file)
    if not all(name in weights for name in (_WORDS, _PATCHES, _POSITIONS)):
        kind = kind_of(weights or map(published_name, file.tensors))
        raise InputError(
            f"{file.path} lacks the image or the text encoder (its first weights: "
            f"{', '.join(list(file.tensors)[:3])}); "
            f"this looks like {KINDS[kind]}: {WAYS_OUT[kind]}"
        )
    for name, num_axes in {_PATCHES: 4, _POSITIONS: 3, **{name: 2 for name, _ in _TOLD_BY.values()}}.items():
        shape = weights[name].shape if name in weights else ()
        if name in weights and (len(shape) != num_axes or 0 in shape):
            raise InputError(f"{file.path}: {name} has the shape {list(shape)}, which no DeST or ALBEF checkpoint has")
    sizes = {size: weights[name].shape[axis] for size, (name, axis) in _TOLD_BY.items() if name in weights}
    patch_size, heads = weights[_PATCHES].shape[-1], max(1, sizes["hidden_size"] // 64)
    layers = _layers(weights, _STACK)
    sizes |= {
        "patch_size": patch_size,
        "image_size": math.isqrt(weights[_POSITIONS].shape[1] - 1) * patch_size,
        "vit_depth": len(_layers(weights, "visual_encoder.blocks.")),
        "num_layers": len(layers),
        "num_text_layers": min(_layers(weights, _STACK, "crossattention."), default=len(layers)),
        **{"vit_heads": heads, "num_heads": heads, "answer_heads": heads},
    }
    if answer_layers := _layers(weights, "ans_encoder.lm.transformer.layer."):
        sizes["answer_layers"] = len(answer_layers)
    if "max_clips" in sizes:
        sizes["max_clips"] -= 2  # BOS and EOS
    return ModelSizes(**sizes)


def _recorded_sizes(path: Path, known: Mapping[str, Any]) -> ModelSizes:
    unknown = [key for key in known if key not in ModelSizes().as_dict()]
    wrong = [f"{key}={value!r}" for key, value in known.items() if type(value) is not int or value < 1]
    if unknown or wrong:
        raise InputError(f"{path}: the sizes in its metadata are not this version's: {', '.join(wrong or unknown)}")
    return ModelSizes(**known)


def _layers(weights: Iterable[str], start: str, with_part: str = "") -> set[int]:
    """Numbers of the layers whose weights' names begin so, of those alone that have a certain part."""
    pattern = re.compile(re.escape(start) + r"(\d+)\." + re.escape(with_part))
    return {int(match[1]) for name in weights if (match := pattern.match(name))}
