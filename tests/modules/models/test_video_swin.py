"""Video Swin against torchvision's own, and the checkpoint files that its reader takes or refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import modules  # noqa: F401  (before torchvision)
from datasets.errors import InputError
from modules.checkpoints.video_swin import load_video_swin
from modules.models.video_swin import ARCHITECTURES, VideoSwin, VideoSwinSizes, get_sizes

SMALL = VideoSwinSizes(24, depths=(2, 2), num_heads=(2, 4), patch_size=(2, 2, 2), window_size=(4, 3, 5))
TOY = ARCHITECTURES["toy"]


def started(sizes: VideoSwinSizes) -> VideoSwin:
    model = VideoSwin(sizes).eval()
    model.random_start(0)
    return model


def torchvision_twin(model: VideoSwin) -> nn.Module:
    from torchvision.models.video.swin_transformer import SwinTransformer3d

    own = model.sizes
    lists = map(list, (own.depths, own.num_heads, own.window_size))
    twin = SwinTransformer3d(list(own.patch_size), own.embed_dim, *lists)
    twin.head = nn.Identity()
    twin.load_state_dict(model.state_dict())
    return twin.eval()


def make_clips(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


# Whole windows; padded to whole patches and windows; axes that are shorter than a window.
@pytest.mark.parametrize("shape", [(1, 3, 16, 24, 40), (2, 3, 9, 31, 17), (1, 3, 3, 4, 33), (3, 3, 1, 1, 1)])
@pytest.mark.parametrize("sizes", [SMALL, TOY], ids=["small", "toy"])
@torch.inference_mode()
def test_results_are_torchvisions(sizes, shape):
    model, clips = started(sizes), make_clips(*shape)
    expected, ours = torchvision_twin(model)(clips), model(clips)
    assert ours.shape == (shape[0], sizes.width)
    assert (ours - expected).norm() / expected.norm() < 2e-6


def test_gradients_are_torchvisions():
    model = started(SMALL)
    twin = torchvision_twin(model)
    for network in (model, twin):
        network(make_clips(2, 3, 16, 24, 40)).square().sum().backward()
    theirs = dict(twin.named_parameters())
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad, theirs[name].grad, rtol=1e-3, atol=1e-4)


class _Operators(TorchDispatchMode):
    """Counts operators, and those that make tensors of what the host holds."""

    def __init__(self):
        super().__init__()
        self.number, self.from_host = 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.number += 1
        self.from_host += func in (torch.ops.aten.lift_fresh.default, torch.ops.aten._to_copy.default)
        return func(*args, **(kwargs or {}))


@torch.inference_mode()
def test_layouts_are_remembered():
    model, passes = started(SMALL), []
    for batch in (2, 2, 3, 2, 3):
        with _Operators() as counted:
            model(torch.zeros(batch, 3, 16, 24, 40))
        passes.append(counted)
    _, steady, other, *later = passes
    assert (other.from_host, steady.from_host) == (0, 0)
    # Two stages, shifted or not: orders of a batch of three, views counted.
    assert other.number - steady.number < 40 * 4
    assert {again.number for again in later} == {steady.number}


def test_compiled_once_for_all_batches():
    model, graphs = started(replace(SMALL, depths=(2,), num_heads=(2,))), []
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="eager")
    for batch in (2, 3, 5, 4):
        clips = make_clips(batch, 3, 16, 24, 40)
        with torch.inference_mode():
            torch.testing.assert_close(compiled(clips), model(clips))
        graphs.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    torch._dynamo.reset()
    assert graphs == [1, 2, 2, 2]  # the second is for any number of windows


def test_architectures():
    widths = {"base": 1024, "small": 768, "tiny": 768, "toy": 128}
    assert {arch: get_sizes(arch).width for arch in ARCHITECTURES} == widths
    with pytest.raises(InputError, match=r"'bass' \(did you mean 'base'\?\); known: base, small"):
        get_sizes("bass")


def test_a_random_start_is_the_same_everywhere():
    model = VideoSwin(TOY)
    for seed, same in ((1, False), (0, True)):
        model.random_start(seed)
        drawn = model.get_parameter("features.0.0.mlp.0.weight")[0, :3].detach()
        assert np.allclose(drawn, [-0.034356385, -0.081011489, 0.097663827], rtol=1e-6, atol=0) == same


def published_weights() -> dict[str, torch.Tensor]:
    """The toy's under their published names, with a classifier."""
    weights = {"cls_head.fc_cls.weight": torch.zeros(600, 128)}
    for name, weight in started(TOY).state_dict().items():
        part, _, rest = name.partition(".")
        if part == "features":
            place, _, rest = rest.partition(".")
            name = f"layers.{int(place) // 2}." + (f"downsample.{rest}" if int(place) % 2 else f"blocks.{rest}")
        weights[f"backbone.{name.replace('mlp.0.', 'mlp.fc1.').replace('mlp.3.', 'mlp.fc2.')}"] = weight
    return weights


@pytest.mark.parametrize("of", ["published", "torchvision"])
def test_files_of_both_kinds(tmp_path, of):
    model, path = started(TOY), tmp_path / "swin.pth"
    published = {"meta": {"epoch": 30}, "state_dict": published_weights()}
    torch.save(published if of == "published" else torchvision_twin(model).state_dict(), path)
    loaded = load_video_swin(path, "toy").state_dict()
    assert all(torch.equal(weight, loaded[name]) for name, weight in model.state_dict().items())


@pytest.mark.parametrize(
    ("changed", "arch", "message"),
    [
        ({"backbone.norm.bias": None}, "toy", "no Video Swin that is known (base, small, tiny, toy)"),
        ({"backbone.extra": torch.ones(1)}, "toy", "no Video Swin that is known"),
        ({"backbone.norm.bias": torch.ones(7)}, "toy", "no Video Swin that is known"),
        ({}, "tiny", "does not hold Video Swin tiny, but toy"),
    ],
)
def test_files_that_do_not_fit(tmp_path, changed, arch, message):
    weights = published_weights() | changed
    torch.save({name: weight for name, weight in weights.items() if weight is not None}, tmp_path / "swin.pth")
    with pytest.raises(InputError) as error:
        load_video_swin(tmp_path / "swin.pth", arch)
    assert message in str(error.value) and "swin.pth" in str(error.value)
