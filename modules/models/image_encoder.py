"""Frames to tokens: ALBEF's ViT, which is timm's ``vit_base_patch16_384`` at the published size."""

import torch
from einops import rearrange
from timm.layers import Attention
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

# Of CLIP's preprocessing, which the published code uses.
PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)


def _rounded(x: Tensor) -> bool:
    """Says if a linear layer on the CPU computes `x` in bfloat16."""
    return torch.bfloat16 in (x.dtype, torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu"))


class FrameAttention(Attention):
    """timm's attention; of bfloat16 without gradients on a CPU it is written out, image by image.

    At the published size that takes half the time of the fused one, which is a fifth of the encoder's: the scores of
    one image stay in the cache.
    """

    def forward(self, x: Tensor, *args, **kwargs) -> Tensor:
        """``[B, T, D]`` -> ``[B, T, D]``."""
        if x.device.type != "cpu" or torch.is_grad_enabled() or torch.compiler.is_compiling() or not _rounded(x):
            return super().forward(x, *args, **kwargs)
        query, key, value = rearrange(self.qkv(x), "b t (three h d) -> three b h t d", three=3, h=self.num_heads)
        images = zip(query * self.scale, key, value, strict=True)
        attended = torch.stack([(asking @ keys.mT).softmax(-1) @ values for asking, keys, values in images])
        return self.proj(rearrange(attended, "b h t d -> b t (h d)"))


class ImageEncoder(VisionTransformer):
    """A ViT whose every token is used: CLS and patches, after the final norm."""

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self, image_size: int, patch_size: int, width: int, depth: int, num_heads: int, mlp_ratio: float = 4.0
    ):
        super().__init__(
            img_size=image_size,
            patch_size=patch_size,
            embed_dim=width,
            depth=depth,
            num_heads=num_heads,
            mlp_ratio=mlp_ratio,
            num_classes=0,
            global_pool="",
            attn_layer=FrameAttention,
        )
        for name, value in (("pixel_mean", PIXEL_MEAN), ("pixel_std", PIXEL_STD)):
            self.register_buffer(name, torch.tensor(value).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:  # type: ignore[override]  # timm's takes a mask, too
        """``[B, 3, H, W]``, uint8 RGB, or float that is already normalised -> ``[B, 1 + patches, D]``."""
        if images.dtype == torch.uint8:
            images = (images.to(self.pixel_mean.dtype) / 255 - self.pixel_mean) / self.pixel_std
        return self.forward_features(images)
