"""Video Swin Transformer: a window of frames in, one feature vector out.

Source: Liu et al., "Video Swin Transformer" (arXiv 2106.13230); torchvision's ``SwinTransformer3d``. The published
checkpoints (``swin_base_patch244_window877_kinetics600_22k.pth``) name their weights ``backbone.*``.
"""

import functools
import itertools
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.swin_transformer import SwinTransformerBlock
from torchvision.models.video.swin_transformer import PatchMerging, ShiftedWindowAttention3d, SwinTransformer3d

from datasets.errors import InputError, did_you_mean

from .transfer import send


@dataclass(frozen=True)
class VideoSwinSizes:
    """Sizes of a Video Swin; the defaults are -B with patch (2, 4, 4) and window (8, 7, 7)."""

    embed_dim: int = 128
    depths: tuple[int, ...] = (2, 2, 18, 2)
    num_heads: tuple[int, ...] = (4, 8, 16, 32)
    patch_size: tuple[int, int, int] = (2, 4, 4)
    window_size: tuple[int, int, int] = (8, 7, 7)

    @property
    def width(self) -> int:
        """Numbers in a feature."""
        return self.embed_dim * 2 ** (len(self.depths) - 1)


ARCHITECTURES = {
    "base": VideoSwinSizes(),
    "small": VideoSwinSizes(embed_dim=96, num_heads=(3, 6, 12, 24)),
    "tiny": VideoSwinSizes(embed_dim=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24)),
    # For the toy world: never trained, only started at random. More stages would tell less of the picture.
    "toy": VideoSwinSizes(embed_dim=64, depths=(1, 1), num_heads=(2, 4), window_size=(4, 4, 4)),
}


def get_sizes(arch: str) -> VideoSwinSizes:
    """The sizes of a named architecture. Raises InputError, with the closest name, for one that is not known."""
    if arch not in ARCHITECTURES:
        raise InputError(
            f"no Video Swin is called {arch!r}{did_you_mean(arch, ARCHITECTURES)}; known: {', '.join(ARCHITECTURES)}"
        )
    return ARCHITECTURES[arch]


class WindowAttention(ShiftedWindowAttention3d):
    """torchvision's shifted window attention, with its weights and its results, in a fraction of the time.

    A shifted window that joins two ends of the map holds parts that must not see each other. Instead of computing all
    and masking most, each part is a window of its own here; nothing is masked, and no attention matrix is stored.
    """

    windows: "Windows"  # of the next map; `VideoSwin` sets them

    def forward(self, x: Tensor) -> Tensor:
        """Map, float [N, T, H, W, D] -> the same shape."""
        extent = x.shape[1:4]
        window, padded, order, groups = self.windows
        pad = [length - real for length, real in zip(padded, extent, strict=True)]
        if any(pad):
            x = F.pad(x, (0, 0, 0, pad[2], 0, pad[1], 0, pad[0]))
        shape, width = x.shape, x.shape[4]

        tokens = self.qkv(x.flatten(0, 3)[order]).view(-1, 3, self.num_heads, width // self.num_heads)
        volume = math.prod(window)
        bias = self.get_relative_position_bias(window)[0].to(tokens.dtype)  # [heads, t·h·w, t·h·w]
        attended = []
        first = 0
        for number, inside in groups:
            number = number * shape[0]
            last = first + number * len(inside)
            q, k, v = tokens[first:last].unflatten(0, (number, len(inside))).permute(2, 0, 3, 1, 4)
            mask = bias if len(inside) == volume else bias[:, inside[:, None], inside]
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[None])  # [windows, heads, tokens, D / heads]
            attended.append(out.transpose(1, 2).reshape(-1, width))
            first = last
        tokens = self.proj(torch.cat(attended) if len(attended) > 1 else attended[0])
        x = torch.empty_like(tokens).index_copy_(0, order, tokens).view(shape)
        return x[:, : extent[0], : extent[1], : extent[2]]


class Windows(NamedTuple):
    """Division of a batch of maps, [N, T, H, W], into shifted windows."""

    size: list[int]  # of a whole window
    padded: list[int]  # T, H and W of a map, padded to whole windows
    order: Tensor  # the tokens, as positions in the flattened batch, in order of their windows, int64 [N·T·H·W]
    # of windows, in the same order: how many a map has, and which places of a whole window (int64, of t·h·w) their
    # tokens have
    groups: list[tuple[int, Tensor]]


class _WindowLayouts:
    """Remembers `Windows` by shape: blocks of the same shape and shift share them, and batches of the same size.

    They are kept by the network rather than by its blocks, and made before its graph runs, which they are inputs of.
    """

    def __init__(self):
        # A network of four stages has eight layouts. Those of a map hold for every batch; a batch's order is cheap.
        self._of_map = functools.lru_cache(64)(_windows_of_map)
        self._of_batch = functools.lru_cache(32)(self._make)

    def get(self, batch: int, extent: Sequence[int], attention: WindowAttention, device: torch.device) -> Windows:
        """The windows of a batch of maps, of an attention's size and shift."""
        return self._of_batch(batch, tuple(extent), (*attention.window_size,), (*attention.shift_size,), device)

    def _make(self, batch, extent, window_size, shift_size, device) -> Windows:
        # An axis that is no longer than the window is one window, and is not shifted.
        window = [min(size, length) for size, length in zip(window_size, extent, strict=True)]
        shift = [s if n > size else 0 for s, size, n in zip(shift_size, window_size, extent, strict=True)]
        padded = [length + -length % size for length, size in zip(extent, window, strict=True)]
        order, groups = self._of_map(tuple(padded), tuple(window), tuple(shift), device)
        with torch.inference_mode(False):  # else a training could not use what an inference has made
            of_maps = order + torch.arange(batch, device=device)[:, None] * math.prod(padded)
            parts = of_maps.split([number * len(inside) for number, inside in groups], dim=1)
            order = torch.cat([part.flatten() for part in parts]) if len(parts) > 1 else of_maps.flatten()
        return Windows(window, padded, order, groups)


def _windows_of_map(shape: Sequence[int], window: Sequence[int], shift: Sequence[int], device: torch.device):
    """Order and groups (see `Windows`) of one map, [T, H, W]: made on the host, copied to the device at once."""
    # Along each axis: where windows of one kind start, and which places of a whole window they have.
    axes = []
    for length, size, moved in zip(shape, window, shift, strict=True):
        kinds: list[tuple[Sequence[int], Sequence[int]]] = [(range(moved, length - size + 1, size), range(size))]
        if moved:
            kinds += [([0], range(size - moved, size)), ([length - size + moved], range(size - moved))]
        axes.append([(np.array(firsts), np.array(inside)) for firsts, inside in kinds if len(firsts)])
    tokens, places = np.arange(math.prod(shape)).reshape(shape), np.arange(math.prod(window)).reshape(window)
    orders, groups, numbers = [], [], []
    for combined in itertools.product(*axes):
        # Along each axis the positions [windows, places]; of all three, [windows, places] three times over.
        along = [firsts[:, None] + inside - inside[0] for firsts, inside in combined]
        positions = tokens[np.ix_(*(axis.flatten() for axis in along))]
        positions = positions.reshape([length for axis in along for length in axis.shape])
        orders.append(positions.transpose(0, 2, 4, 1, 3, 5).flatten())
        groups.append(places[np.ix_(*(inside for _, inside in combined))].flatten())
        numbers.append(math.prod(len(firsts) for firsts, _ in combined))
    with torch.inference_mode(False):
        made = send(torch.from_numpy(np.concatenate(orders + groups)), device)
        order, *groups = made.split([math.prod(shape), *map(len, groups)])
    return order, list(zip(numbers, groups, strict=True))


class _Block(SwinTransformerBlock):
    """torchvision's block with our attention (torchvision's network insists on naming its own)."""

    def __init__(self, *args, attn_layer: type, **kwargs):
        super().__init__(*args, attn_layer=WindowAttention, **kwargs)


class VideoSwin(nn.Module):
    """Video Swin without its classifier: the mean over time and space of the last, normed map."""

    def __init__(self, sizes: VideoSwinSizes):
        super().__init__()
        self.sizes = sizes
        swin = SwinTransformer3d(
            list(sizes.patch_size),
            sizes.embed_dim,
            list(sizes.depths),
            list(sizes.num_heads),
            list(sizes.window_size),
            block=_Block,
            downsample_layer=PatchMerging,
        )
        self.patch_embed, self.features, self.norm = swin.patch_embed, swin.features, swin.norm
        self._layouts = _WindowLayouts()

    def forward(self, clips: Tensor) -> Tensor:
        """Clips, float [N, 3, frames, height, width], already normalised -> features [N, width]."""
        self._lay_out_windows(clips)
        x = self.norm(self.features(self.patch_embed(clips)))  # [N, frames', height', width', width]
        return x.mean(dim=(1, 2, 3))

    @torch.compiler.disable
    def _lay_out_windows(self, clips: Tensor) -> None:
        """Gives each block the windows of its map."""
        extent = [math.ceil(length / size) for length, size in zip(clips.shape[2:], self.sizes.patch_size, strict=True)]
        for stage in self.features:
            if isinstance(stage, PatchMerging):
                extent = [extent[0], *(math.ceil(length / 2) for length in extent[1:])]
                continue
            for block in stage:
                block.attn.windows = self._layouts.get(len(clips), extent, block.attn, clips.device)

    @torch.no_grad()
    def random_start(self, seed: int) -> None:
        """Draws all weights anew, the same on every machine and with every version of torch.

        A matrix of n inputs is drawn from N(0, 1/n), so that every layer changes what passes through it: an untrained
        network's features then tell more of its input than with the 0.02 that training starts from. The features
        themselves are small, so that a network that is trained on few of them hears its clip positions, too, which
        start small.
        """
        for name, weight in self.named_parameters():
            if "norm" in name:
                weight.fill_(1.0 if name.endswith("weight") else 0.0)
            elif name.endswith("bias"):
                weight.zero_()
            else:
                fan_in = weight[0].numel()
                draw = np.random.RandomState([seed, zlib.crc32(name.encode())]).standard_normal(weight.shape)
                weight.copy_(torch.from_numpy(draw * fan_in**-0.5))
        self.norm.weight.fill_(0.2)
