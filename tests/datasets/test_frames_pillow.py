"""The frames transform of training is Pillow's for any size, shape and content, at the published size as well."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from datasets.frames import read_square

from .test_frames import pillow_square, scene


def differences(tmp_path, picture: np.ndarray, size: int) -> np.ndarray:
    path = tmp_path / "1.png"
    Image.fromarray(picture).save(path, compress_level=0)
    return np.abs(read_square(path, size).astype(int) - pillow_square(path, size))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 150), st.integers(1, 150), st.integers(8, 64), st.booleans())
def test_any_size(tmp_path_factory, height, width, size, noise):
    random = np.random.default_rng(height * 151 + width)
    picture = random.integers(0, 256, (height, width, 3), np.uint8) if noise else scene(height, width)
    difference = differences(tmp_path_factory.mktemp("frames"), picture, size)
    assert difference.max() <= 3
    assert difference.mean() <= 0.3


@pytest.mark.parametrize(
    ("height", "width"), [(255, 341), (721, 1283), (1081, 607), (384, 512), (385, 384), (901, 433)]
)
def test_published_size(tmp_path, height, width):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    for picture in (scene(height, width), noise):
        difference = differences(tmp_path, picture, 384)
        assert difference.max() <= 3
        assert difference.mean() <= 0.3
