"""What a checkpoint says of its network besides the weights: the record kept in those saved here, and the sizes."""

import math
import platform
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from torch import Size

from datasets.errors import InputError
from modules.models.settings import ModelSizes

from .names import KINDS, WAYS_OUT, kind_of, published_name, published_weights
from .reader import CheckpointFile, read_checkpoint

PACKAGES = ("torch", "pytorch-lightning", "transformers", "timm", "numpy")  # whose versions are kept


def make_metadata(
    sizes: ModelSizes,
    config: Mapping[str, Any],
    vocabulary: Iterable[str] | None = None,
    tokenizer_vocabulary: Iterable[str] | None = None,
    preprocessing: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What inference needs beside weights and data, in plain types alone, so that the strict reader takes it.

    Args:
        sizes: of the network.
        config: the settings of the run.
        vocabulary: the answers, by index (question answering).
        tokenizer_vocabulary: the word pieces, by id.
        preprocessing: what the frames and the clip features were extracted with, as `QADataModule.preprocessing` has
            it, so that a video from elsewhere can be given the same.
    """
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return plain(
        {
            "sizes": sizes.as_dict(),
            "config": config,
            "vocabulary": None if vocabulary is None else list(vocabulary),
            "tokenizer_vocabulary": None if tokenizer_vocabulary is None else list(tokenizer_vocabulary),
            "preprocessing": preprocessing,
            "versions": versions,
        }
    )


def plain(value: Any) -> Any:
    """The same value of dicts, lists, strings, numbers, booleans and None alone. Raises TypeError for anything else."""
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


def checkpoint_metadata(source: str | Path | CheckpointFile) -> dict[str, Any] | None:
    """What `make_metadata` put into a checkpoint; None for files that were not saved here.

    Raises:
        InputError: the file cannot be read.
    """
    file = source if isinstance(source, CheckpointFile) else read_checkpoint(source)
    return file.metadata


def infer_sizes(file: CheckpointFile) -> ModelSizes:
    """The sizes of the network in a file: from its metadata, or else from the shapes of its weights.

    Shapes do not tell the number of heads; it is taken to be width / 64, as in all published files. Sizes of parts that
    the file lacks keep their defaults.

    Raises:
        InputError: the file lacks the image or the text encoder, or its metadata holds other sizes than ours.
    """
    known = (file.metadata or {}).get("sizes")
    if known is not None:
        unknown = [key for key in known if key not in ModelSizes().as_dict()]
        wrong = [f"{key}={value!r}" for key, value in known.items() if type(value) is not int or value < 1]
        if unknown or wrong:
            raise InputError(
                f"{file.path}: the sizes in its metadata are not this version's: {', '.join(wrong or unknown)}"
            )
        return ModelSizes(**known)
    weights, _ = published_weights(file)

    def shape(name: str) -> Size | None:
        return weights[name].shape if name in weights else None

    def layers(start: str, with_part: str = "") -> list[int]:
        pattern = re.compile(re.escape(start) + r"(\d+)\." + re.escape(with_part))
        return sorted({int(match[1]) for name in weights if (match := pattern.match(name))})

    words = shape("text_encoder.embeddings.word_embeddings.weight")
    patches = shape("visual_encoder.patch_embed.proj.weight")
    table = shape("visual_encoder.pos_embed")
    if words is None or patches is None or table is None:
        kind = kind_of(weights or map(published_name, file.tensors))
        raise InputError(
            f"{file.path} lacks the image or the text encoder (its first weights: "
            f"{', '.join(list(file.tensors)[:3])}); "
            f"this looks like {KINDS[kind]}: {WAYS_OUT[kind]}"
        )
    width = words[1]
    stack = "text_encoder.encoder.layer."
    sizes: dict[str, int | None] = {
        "hidden_size": width,
        "patch_size": patches[-1],
        "image_size": math.isqrt(table[1] - 1) * patches[-1],
        "vit_depth": len(layers("visual_encoder.blocks.")),
        "vit_heads": max(1, width // 64),
        "num_layers": len(layers(stack)),
        "num_text_layers": min(layers(stack, "crossattention."), default=len(layers(stack))),
        "num_heads": max(1, width // 64),
        "vocab_size": words[0],
        "answer_heads": max(1, width // 64),
        "answer_layers": len(layers("ans_encoder.lm.transformer.layer.")) or None,
    }
    for key, name, axis in (
        ("intermediate_size", stack + "0.intermediate.dense.weight", 0),
        ("max_text_positions", "text_encoder.embeddings.position_embeddings.weight", 0),
        ("num_token_types", "text_encoder.embeddings.token_type_embeddings.weight", 0),
        ("answer_intermediate_size", "ans_encoder.lm.transformer.layer.0.ffn.lin1.weight", 0),
        ("head_width", "ans_encoder.pooler.1.weight", 0),
        ("input_video_embed_size", "temporal_embedding.proj.weight", 1),
        ("max_clips", "temporal_embedding.frame_pos_embed.weight", 0),
    ):
        if (found := shape(name)) is not None:
            sizes[key] = found[axis]
    if "max_clips" in sizes:
        sizes["max_clips"] -= 2  # BOS and EOS
    return ModelSizes(**{key: value for key, value in sizes.items() if value is not None})
