"""Video Swin against torchvision's own, and what its checkpoint reader refuses."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import modules  # noqa: F401  (before torchvision)
from datasets.errors import InputError
from modules.checkpoints.video_swin import from_published, load_video_swin
from modules.models.video_swin import ARCHITECTURES, VideoSwin, VideoSwinSizes, get_sizes

from .parity import published_keys

SMALL = VideoSwinSizes(24, depths=(2, 2), num_heads=(2, 4), patch_size=(2, 2, 2), window_size=(4, 3, 5))


def started(sizes: VideoSwinSizes) -> VideoSwin:
    model = VideoSwin(sizes).eval()
    model.random_start(0)
    return model


def torchvision_twin(model: VideoSwin) -> nn.Module:
    from torchvision.models.video.swin_transformer import SwinTransformer3d

    sizes = model.sizes
    twin = SwinTransformer3d(
        *(list(sizes.patch_size), sizes.embed_dim, list(sizes.depths), list(sizes.num_heads), list(sizes.window_size))
    )
    twin.head = nn.Identity()
    twin.load_state_dict(model.state_dict())
    return twin.eval()


@pytest.mark.parametrize(
    "shape",
    [
        (1, 3, 16, 24, 40),
        (2, 3, 9, 31, 17),  # padded to whole patches and windows
        (1, 3, 3, 4, 33),  # axes that are shorter than a window
        (3, 3, 1, 1, 1),
    ],
)
@pytest.mark.parametrize("sizes", [SMALL, ARCHITECTURES["toy"]], ids=["small", "toy"])
@torch.inference_mode()
def test_results_are_torchvisions(sizes, shape):
    model = started(sizes)
    clips = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    expected = torchvision_twin(model)(clips)
    ours = model(clips)
    assert ours.shape == (shape[0], sizes.width)
    assert (ours - expected).norm() / expected.norm() < 2e-6


def test_gradients_are_torchvisions():
    model = started(SMALL)
    twin = torchvision_twin(model)
    clips = torch.randn(2, 3, 16, 24, 40, generator=torch.Generator().manual_seed(0))
    for network in (model, twin):
        network(clips).square().sum().backward()
    theirs = dict(twin.named_parameters())
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad, theirs[name].grad, rtol=1e-3, atol=1e-4)


def test_a_clip_does_not_depend_on_its_batch():
    model = started(SMALL)
    clips = torch.randn(5, 3, 16, 24, 40, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(model(clips), torch.cat([model(clip[None]) for clip in clips]))


class _Operators(TorchDispatchMode):
    """Counts operators, and those that make tensors of what the host holds."""

    def __init__(self):
        super().__init__()
        self.number, self.from_host = 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.number += 1
        self.from_host += func in (torch.ops.aten.lift_fresh.default, torch.ops.aten._to_copy.default)
        return func(*args, **(kwargs or {}))


def operators(model: nn.Module, batch: int) -> _Operators:
    with _Operators() as counted:
        model(torch.zeros(batch, 3, 16, 24, 40))
    return counted


@torch.inference_mode()
def test_layouts_are_remembered():
    model = started(SMALL)
    operators(model, 2)
    steady = operators(model, 2)
    other = operators(model, 3)
    assert (other.from_host, steady.from_host) == (0, 0)
    assert (
        other.number - steady.number < 40 * 4
    )  # two stages, shifted or not: orders of a batch of three, views counted
    assert operators(model, 2).number == operators(model, 3).number == steady.number


def test_compiled_once_for_all_batches():
    model = started(VideoSwinSizes(24, depths=(2,), num_heads=(2,), patch_size=(2, 2, 2), window_size=(4, 3, 5)))
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="eager")
    graphs = []
    for batch in (2, 3, 5, 4):
        clips = torch.randn(batch, 3, 16, 24, 40, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            torch.testing.assert_close(compiled(clips), model(clips))
        graphs.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    torch._dynamo.reset()
    assert graphs == [1, 2, 2, 2]  # the second is for any number of windows


@pytest.mark.parametrize(("arch", "width"), [("base", 1024), ("small", 768), ("tiny", 768), ("toy", 128)])
def test_widths(arch, width):
    assert get_sizes(arch).width == width


def test_published_names_and_shapes():
    with torch.device("meta"):
        model = VideoSwin(get_sizes("base"))
        published = {name: torch.empty(shape) for name, shape in published_keys("video_swin").items()}
    renamed = from_published(published)
    assert {name: weight.shape for name, weight in renamed.items()} == {
        name: weight.shape for name, weight in model.named_parameters()
    }


def test_unknown_architecture():
    with pytest.raises(
        InputError, match=r"no Video Swin is called 'bass' \(did you mean 'base'\?\); known: base, small"
    ):
        get_sizes("bass")


def test_a_random_start_is_the_same_everywhere():
    model, again = started(ARCHITECTURES["toy"]), started(ARCHITECTURES["toy"])
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    drawn = model.get_parameter("features.0.0.mlp.0.weight")
    np.testing.assert_allclose(drawn[0, :3].detach(), [-0.034356385, -0.081011489, 0.097663827], rtol=1e-6)
    other = VideoSwin(ARCHITECTURES["toy"])
    other.random_start(1)
    assert not torch.equal(other.get_parameter("features.0.0.mlp.0.weight"), drawn)


def published_file(path, change=lambda weights: None):
    """A checkpoint as published, of the toy's sizes."""
    weights = {}
    for name, weight in started(ARCHITECTURES["toy"]).state_dict().items():
        part, _, rest = name.partition(".")
        if part == "features":
            place, _, rest = rest.partition(".")
            stage = f"layers.{int(place) // 2}."
            name = stage + (f"downsample.{rest}" if int(place) % 2 else f"blocks.{rest}")
        weights[f"backbone.{name.replace('mlp.0.', 'mlp.fc1.').replace('mlp.3.', 'mlp.fc2.')}"] = weight
    weights["cls_head.fc_cls.weight"] = torch.zeros(600, 128)
    change(weights)
    torch.save({"meta": {"epoch": 30}, "state_dict": weights}, path)
    return path


def test_published_file(tmp_path):
    loaded = load_video_swin(published_file(tmp_path / "swin.pth"), "toy")
    expected = started(ARCHITECTURES["toy"]).state_dict()
    assert all(torch.equal(weight, expected[name]) for name, weight in loaded.state_dict().items())


def test_torchvisions_file(tmp_path):
    torch.save(torchvision_twin(started(ARCHITECTURES["toy"])).state_dict(), tmp_path / "swin.pth")
    assert load_video_swin(tmp_path / "swin.pth", "toy").sizes.width == 128


@pytest.mark.parametrize(
    ("change", "arch", "message"),
    [
        (lambda w: w.pop("backbone.norm.bias"), "toy", "no Video Swin that is known (base, small, tiny, toy)"),
        (lambda w: w.update({"backbone.extra": torch.ones(1)}), "toy", "no Video Swin that is known"),
        (lambda w: w.update({"backbone.norm.bias": torch.ones(7)}), "toy", "no Video Swin that is known"),
        (lambda w: None, "tiny", "does not hold Video Swin tiny, but toy"),
    ],
)
def test_files_that_do_not_fit(tmp_path, change, arch, message):
    with pytest.raises(InputError) as error:
        load_video_swin(published_file(tmp_path / "swin.pth", change), arch)
    assert message in str(error.value) and "swin.pth" in str(error.value)
