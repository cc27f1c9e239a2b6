"""The names of weights in checkpoint files, and what they tell: which part of the network, which kind of file."""

from collections.abc import Iterable

from torch import Tensor

from datasets.errors import InputError

from .reader import CheckpointFile

# Part of the network -> beginnings of its parameters' names.
PARTS = {
    "visual_encoder": ("visual_encoder.",),
    "text_encoder": ("text_encoder.",),
    "temporal stream": ("temporal_embedding.", "temporal_encoder."),
    "frame_head": ("frame_head.",),
    "video_head": ("video_head.",),
    "ans_encoder.lm": ("ans_encoder.lm.",),
    "ans_encoder.pooler": ("ans_encoder.pooler.",),
    "contrastive heads": ("vision_proj.", "text_proj.", "tau"),
}
# What wrappers put in front of a network's own names: DistributedDataParallel, LightningModules, torch.compile.
WRAPPERS = ("module.", "model.", "_orig_mod.", "_forward_module.")
# Present in ALBEF's files only: decoder, momentum copies, heads of its own objectives.
ALBEF_MARKS = ("text_decoder.", "visual_encoder_m.", "text_encoder_m.", "text_encoder.bert.", "itm_head.")

KINDS = {
    "albef": "an ALBEF file",
    "trm": "a TRM checkpoint (pre-training)",
    "qa": "a DeST checkpoint for question answering",
    "mean": "a checkpoint of a *_mean baseline, which has no temporal stream",
    "swin": "a Video Swin checkpoint (it belongs to preproc/extract_features.py)",
    "other": "a file of another project",
}
WAYS_OUT = {
    "albef": "train from it, or give a DeST checkpoint",
    "trm": "fine-tune from it first, and give the checkpoint that comes out",
    "qa": "give the task that it was trained for",
    "mean": "give the *_mean task, or a checkpoint with a temporal stream",
    "swin": "give an ALBEF or a DeST checkpoint",
    "other": "give an ALBEF or a DeST checkpoint",
}


def published_name(name: str) -> str:
    """A parameter's name without what wrappers put before it or into it."""
    name = name.replace("._orig_mod.", ".")
    while True:
        wrapper = next((wrapper for wrapper in WRAPPERS if name.startswith(wrapper)), None)
        if wrapper is None:
            return name
        name = name.removeprefix(wrapper)


def part_of(name: str) -> str | None:
    """The part that a published name belongs to; None for names that are not ours."""
    return next((part for part, starts in PARTS.items() if name.startswith(starts)), None)


def kind_of(names: Iterable[str]) -> str:
    """The kind of a file with these (published) names: a key of `KINDS`."""
    names = list(names)

    def has(*starts: str) -> bool:
        return any(name.startswith(starts) for name in names)

    if has(*ALBEF_MARKS):
        return "albef"
    if has("temporal_encoder."):
        return "qa" if has("frame_head.") else "trm"
    if has("frame_head.") and has("text_encoder."):
        return "mean"
    if has("visual_encoder.") and has("text_encoder."):
        return "albef"
    if has("backbone.patch_embed.", "backbone.layers."):
        return "swin"
    return "other"


def published_weights(file: CheckpointFile) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights of a file under published names: those that DeST networks have a place for, and all others.

    Integer buffers (``position_ids``) carry no information and are in neither. Of an ALBEF file only the image and the
    text encoder count: its projections belong to another objective, whatever their names.

    Raises:
        InputError: two weights of the file have one published name.
    """
    floats: dict[str, Tensor] = {}
    for name, tensor in file.tensors.items():
        if not tensor.is_floating_point():
            continue
        name = published_name(name)
        if name in floats:
            raise InputError(f"{file.path} holds {name} twice, under different prefixes; keep one of them")
        floats[name] = tensor
    albef = kind_of(floats) == "albef"
    weights: dict[str, Tensor] = {}
    others: dict[str, Tensor] = {}
    for name, tensor in floats.items():
        own = name.replace("text_encoder.bert.", "text_encoder.", 1) if albef else name
        if _has_place(own, albef) and own not in weights:
            weights[own] = tensor
        else:
            others[name] = tensor
    return weights, others


def _has_place(name: str, albef: bool) -> bool:
    if albef:
        # text_encoder.cls.* is the head of its language model.
        return part_of(name) in ("visual_encoder", "text_encoder") and not name.startswith("text_encoder.cls.")
    return part_of(name) is not None
