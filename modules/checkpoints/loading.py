"""The weights of a checkpoint file into a network.

A network is loaded in parts. A part comes from the file as a whole or starts fresh as a whole; what happened to each is
said in one summary. The published files that fit: ALBEF's ``ALBEF.pth`` and ``vqa.pth`` (image and text encoder),
``trm.ckpt``, ``anetqa.ckpt``, ``agqa.ckpt``, and whatever is saved here.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from datasets.errors import InputError
from modules.config.rank_environment import is_first_rank
from modules.models.dest import DeST

from .names import KINDS, WAYS_OUT, kind_of, part_of, published_name, published_weights
from .reader import CheckpointFile, read_checkpoint

# Parts that training takes from a checkpoint; its other parts may start fresh.
NEEDED_TO_TRAIN = ("visual_encoder", "text_encoder")
# These end in another width in pre-training (384) than in question answering (768).
RESHAPED_HEADS = ("video_head", "ans_encoder.pooler")
# Parts that question answering with both streams takes from pre-training in the published recipes.
PRE_TRAINED = ("temporal stream", "ans_encoder.lm")


@dataclass
class LoadSummary:
    """The parts of the network that were loaded or started fresh, and the tensors of the file that were not used."""

    path: Path
    kind: str  # a key of KINDS
    loaded: dict[str, int]  # part -> its tensors
    fresh: dict[str, str]  # part -> why
    unused: dict[str, int]  # first word of their names -> tensors
    adapted: list[str]  # position tables made to fit, in words
    unusual: list[str]  # fresh parts that the published recipe would have loaded

    def __str__(self) -> str:
        def listed(counts: Mapping[str, int]) -> str:
            return ", ".join(f"{name} ({count})" for name, count in counts.items()) or "nothing"

        lines = [f"{self.path} is {KINDS[self.kind]}", f"  loaded         {listed(self.loaded)}"]
        lines += [f"  adapted        {line}" for line in self.adapted]
        fresh = ", ".join(f"{part} ({why})" for part, why in self.fresh.items())
        lines.append(f"  started fresh  {fresh or 'nothing'}")
        if self.unusual:
            lines.append(f"  note           the published recipe takes {', '.join(self.unusual)} from trm.ckpt")
        elif self.fresh:
            lines[-1] += "; expected here"
        lines.append(f"  not used       {listed(self.unused)}")
        return "\n".join(lines)


# --- tables of positions ---------------------------------------------------------------------------------------------


def fit_positions(name: str, table: Tensor, shape: torch.Size) -> Tensor:
    """A position table for another image size or another length; anything else comes back as it is.

    The image encoder's table ``[1, 1 + n·n, D]`` is interpolated (bicubic, as in ALBEF), CLS apart. Tables of text and
    clip positions ``[n, D]`` are cut: the first positions mean the same at any length.
    """
    if table.shape == shape or table.ndim != len(shape) or table.shape[-1] != shape[-1]:
        return table
    if name == "visual_encoder.pos_embed" and table.shape[1] > 0:
        old, new = math.isqrt(table.shape[1] - 1), math.isqrt(shape[1] - 1)
        if 1 + old * old != table.shape[1] or 1 + new * new != shape[1]:
            return table
        grid = rearrange(table[:, 1:].float(), "1 (h w) d -> 1 d h w", h=old)
        grid = F.interpolate(grid, size=(new, new), mode="bicubic", align_corners=False)
        return torch.cat([table[:, :1].float(), rearrange(grid, "1 d h w -> 1 (h w) d")], dim=1)
    if name.endswith(("position_embeddings.weight", "frame_pos_embed.weight")):
        return table[: shape[0]]
    return table


# --- loading ---------------------------------------------------------------------------------------------------------


@torch.no_grad()
def load_weights(
    model: DeST, source: str | Path | CheckpointFile, needed: Collection[str] | None = None, verbose: bool = True
) -> LoadSummary:
    """Fills a network from a checkpoint file and prints the summary, once for all ranks.

    When the file brings a text encoder but no temporal stream, the latter starts from the former (see
    `DeST.start_temporal_from_text`). All other fresh parts keep what they were initialised with.

    Args:
        model: a `DeST`, or a network that extends it. Its parameters keep their type and their device.
        needed: the parts (keys of `PARTS`) that the file must bring; the others start fresh if it does not. Default:
            all that the network has. `NEEDED_TO_TRAIN` for a start of training, where the heads of a pre-trained
            network also start fresh when their width is another.

    Raises:
        InputError: the file cannot be read, or a needed part is missing, of another shape or incomplete, or nothing
            fits; names the first weights concerned and the likely cause.
    """
    file = source if isinstance(source, CheckpointFile) else read_checkpoint(source)
    weights, others = published_weights(file)
    kind = kind_of(map(published_name, file.tensors))
    own = _parameters_by_part(model)
    if not any(name in weights for parameters in own.values() for name in parameters):
        raise InputError(
            f"{file.path}: none of its {len(file.tensors)} weights belongs to this network (the first: "
            f"{_first(file.tensors)}); this looks like {KINDS[kind]}: {WAYS_OUT[kind]}"
        )
    fitted: dict[str, dict[str, Tensor]] = {}
    fresh: dict[str, str] = {}
    for part, parameters in own.items():
        is_needed = needed is None or part in needed
        fitted[part], why_fresh = _fit_part(file, kind, part, parameters, weights, is_needed)
        if why_fresh:
            fresh[part] = why_fresh
    # Only now, so that a file that does not fit leaves the network as it was.
    for part, tensors in fitted.items():
        for name, tensor in tensors.items():
            own[part][name].copy_(tensor)
    if "temporal stream" in fresh and fitted.get("text_encoder"):
        model.start_temporal_from_text()
        fresh["temporal stream"] = "as a copy of text_encoder"
    summary = _summarize(file, kind, fitted, fresh, weights, others)
    if verbose and is_first_rank():
        print(summary, flush=True)
    return summary


def _summarize(
    file: CheckpointFile,
    kind: str,
    fitted: Mapping[str, Mapping[str, Tensor]],
    fresh: dict[str, str],
    weights: Mapping[str, Tensor],
    others: Mapping[str, Tensor],
) -> LoadSummary:
    used = {name: tensor.shape for tensors in fitted.values() for name, tensor in tensors.items()}
    unused = [*others, *(name for name in weights if name not in used)]
    has_both_streams = {"frame_head", "temporal stream"} <= fitted.keys()
    return LoadSummary(
        path=file.path,
        kind=kind,
        loaded={part: len(tensors) for part, tensors in fitted.items() if tensors},
        fresh=fresh,
        unused=dict(Counter(name.split(".")[0] for name in unused)),
        adapted=[
            f"{name} from {list(weights[name].shape)} to {list(shape)}"
            for name, shape in used.items()
            if shape != weights[name].shape
        ],
        unusual=[part for part in PRE_TRAINED if part in fresh and has_both_streams],
    )


def _parameters_by_part(model: nn.Module) -> dict[str, dict[str, Tensor]]:
    """The part of the network -> published name -> parameter."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, parameter in model.state_dict(keep_vars=True).items():
        name = published_name(name)
        parts.setdefault(part_of(name) or name, {})[name] = parameter
    return parts


def _fit_part(
    file: CheckpointFile,
    kind: str,
    part: str,
    parameters: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    is_needed: bool,
) -> tuple[dict[str, Tensor], str]:
    """The weights of one part, in the shapes of its parameters; or none and the reason why it starts fresh."""
    missing = [name for name in parameters if name not in weights]
    if len(missing) == len(parameters):
        if is_needed:
            raise InputError(
                f"{file.path} has no {part} (the first of its weights: {_first(parameters)}); "
                f"this looks like {KINDS[kind]}: {WAYS_OUT[kind]}"
            )
        return {}, "not in the file"
    if missing:
        raise InputError(
            f"{file.path} has only some of {part}: {len(missing)} of {len(parameters)} weights are missing (the "
            f"first: {_first(missing)}); it was made with other sizes, or it is not whole"
        )
    fitted = {name: fit_positions(name, weights[name], parameters[name].shape) for name in parameters}
    wrong = [name for name in parameters if fitted[name].shape != parameters[name].shape]
    if wrong and part in RESHAPED_HEADS and not is_needed:
        return {}, f"{len(weights[wrong[0]])} wide in the file, {len(parameters[wrong[0]])} here"
    if wrong:
        raise InputError(_explain_shapes(file, kind, wrong, weights, parameters))
    # A sum is as good as a look at each number, and makes no copy.
    bad = [name for name, tensor in fitted.items() if not torch.isfinite(tensor.sum(dtype=torch.float32))]
    if bad:
        raise InputError(
            f"{file.path}: {_first(bad, 1)} holds numbers that are not finite; its training had gone wrong: "
            "take an earlier checkpoint"
        )
    return fitted, ""


def _first(names: Iterable[str], count: int = 3) -> str:
    return ", ".join(list(names)[:count])


def _explain_shapes(
    file: CheckpointFile, kind: str, wrong: list[str], weights: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> str:
    shapes = "; ".join(
        f"{name} is {list(weights[name].shape)}, here {list(parameters[name].shape)}" for name in wrong[:3]
    )
    name = wrong[0]
    if kind == "trm" and part_of(name) in RESHAPED_HEADS:
        cause = f"this looks like {KINDS[kind]}: {WAYS_OUT[kind]}"
    elif name.endswith(("position_embeddings.weight", "frame_pos_embed.weight")):
        cause = f"it knows {len(weights[name])} positions and cannot be given more: lower the length to that"
    elif name.endswith("patch_embed.proj.weight"):
        cause = "another patch_size"
    else:
        cause = "the network was configured with other sizes than the file's (--info of preproc.convert_checkpoint)"
    return f"{file.path} does not fit: {shapes}; {cause}"
