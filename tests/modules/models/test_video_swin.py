"""Video Swin against torchvision's own, and the checkpoint files that its reader takes or refuses."""

import pytest
import torch
from torch import nn

import modules  # noqa: F401  (before torchvision)
from datasets.errors import InputError
from modules.checkpoints.video_swin import load_video_swin
from modules.models.video_swin import ARCHITECTURES, VideoSwin, VideoSwinSizes

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
def test_results_and_gradients_are_torchvisions(sizes, shape):
    model = started(sizes)
    twin = torchvision_twin(model)
    ours, expected = (network(make_clips(*shape)) for network in (model, twin))
    assert ours.shape == (shape[0], sizes.width)
    assert (ours - expected).norm() / expected.norm() < 2e-6
    for features in (ours, expected):
        features.square().sum().backward()
    theirs = dict(twin.named_parameters())
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad, theirs[name].grad, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("changed", "arch", "message"),
    [
        ({"norm.bias": None}, "toy", "no Video Swin that is known (base, small, tiny, toy)"),
        ({"norm.bias": torch.ones(7)}, "toy", "no Video Swin that is known"),
        ({}, "tiny", "does not hold Video Swin tiny, but toy"),
    ],
)
def test_files_that_do_not_fit(tmp_path, changed, arch, message):
    weights, path = started(TOY).state_dict() | changed, tmp_path / "swin.pth"
    torch.save({name: weight for name, weight in weights.items() if weight is not None}, path)
    with pytest.raises(InputError) as error:
        load_video_swin(path, arch)
    assert message in str(error.value) and str(path) in str(error.value)
