"""Settings of the network, and all of its sizes."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

from datasets.settings import Tie, setting

Size = Annotated[int, Interval(ge=1, le=999_999)]  # more layers would be built until the memory is full


@dataclass(frozen=True)
class ModelSizes:
    """All sizes of a DeST model; the defaults are those of the published checkpoints."""

    hidden_size: int = 768  # D, the width of every stream
    head_width: int = 768  # of the space in which videos meet answers; 384 in pre-training
    # image encoder
    image_size: int = 384  # pixels, square
    patch_size: int = 16
    vit_depth: int = 12
    vit_heads: int = 12
    # text/fusion stacks (text_encoder and temporal_encoder)
    num_layers: int = 12
    num_text_layers: int = 6  # the rest are fusion layers
    num_heads: int = 12
    intermediate_size: int = 3072
    vocab_size: int = 30522
    max_text_positions: int = 512
    num_token_types: int = 2
    # answer encoder
    answer_layers: int = 6
    answer_heads: int = 12
    answer_intermediate_size: int = 3072
    # clips
    input_video_embed_size: int = 1024  # width of a clip feature
    max_clips: int = 100  # positions, BOS and EOS not counted

    @property
    def init_std(self) -> float:
        """Random start: the published 0.02 at the published width, the same variance of a sum at any other."""
        return 0.02 * (768 / self.hidden_size) ** 0.5

    def as_dict(self) -> dict[str, int]:
        return dataclasses.asdict(self)


def _published(names: str) -> dict[str, int]:
    return {name: getattr(ModelSizes, name) for name in names.split()}


@dataclass(frozen=True)
class ModelSettings:
    temporal: bool = setting(True, "the temporal stream; False: the mean-pooling baseline", Tie.INFERENCE)
    patch_size: Size = setting(ModelSizes.patch_size, "pixels, side of an image patch", Tie.WEIGHTS)
    hidden_size: Size = setting(ModelSizes.hidden_size, "width of every stream", Tie.WEIGHTS)
    head_width: Size = setting(
        ModelSizes.head_width, "of the space in which videos meet answers; trm: 384", Tie.INFERENCE
    )
    input_video_embed_size: Size = setting(ModelSizes.input_video_embed_size, "width of a clip feature", Tie.WEIGHTS)
    max_pos_len: Size = setting(ModelSizes.max_clips, "clip positions of the temporal stream", Tie.WEIGHTS)
    vit_config: dict[str, Size] = setting(_published("vit_depth vit_heads"), "image encoder", Tie.WEIGHTS)
    bert_config: dict[str, Size] = setting(
        _published(
            "num_layers num_text_layers num_heads intermediate_size vocab_size max_text_positions num_token_types"
        ),
        "text/fusion stack and, the same again, temporal stack",
        Tie.WEIGHTS,
    )
    answer_config: dict[str, Size] = setting(
        _published("answer_layers answer_heads answer_intermediate_size"), "DistilBERT", Tie.WEIGHTS
    )
    answer_encoder: str = setting("distilbert-base-uncased", "name, or folder, its weights start from; empty: random")
    drop_rate: Annotated[float, Interval(ge=0, lt=1)] = setting(0.1, "dropout", Tie.COURSE)
    freeze: list[str] = setting(
        ["visual_encoder", "text_encoder.embeddings", "ans_encoder.lm.embeddings"],
        "name prefixes of the parameters that are not trained",
        Tie.OPTIMIZER,
    )
    frozen_precision: Literal["same", "bf16"] = setting(
        "same", "of a frozen image encoder: as `precision`, or bfloat16", Tie.COURSE
    )
