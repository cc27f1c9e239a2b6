import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from datasets.errors import InputError
from datasets.frames import FrameReader, read_square


def scene(height: int, width: int) -> np.ndarray:
    """A smooth picture with some noise. RGB uint8 [height, width, 3]."""
    random = np.random.default_rng(0)
    picture = cv2.resize(random.integers(0, 256, (6, 9, 3), dtype=np.uint8), (width, height)).astype(int)
    return (picture + random.integers(-4, 5, picture.shape)).clip(0, 255).astype(np.uint8)


def pillow_square(path, size: int) -> np.ndarray:
    """The reference: RGB int [3, size, size]."""
    image = Image.open(path).convert("RGB")
    width, height = image.size
    new = (size, int(size * height / width)) if width <= height else (int(size * width / height), size)
    left, top = round((new[0] - size) / 2), round((new[1] - size) / 2)
    if height - new[1] > 2 * max(width - new[0], 0):  # where Pillow 13 begins with the height, earlier versions do not
        image = image.resize((width, new[1]), Image.Resampling.BICUBIC)
    square = image.resize(new, Image.Resampling.BICUBIC).crop((left, top, left + size, top + size))
    return np.asarray(square).transpose(2, 0, 1).astype(int)


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(8, 96), st.booleans(), st.sampled_from(["png", "jpg"]))
@example(721, 1283, 384, False, "png")
@example(901, 433, 384, True, "png")
def test_as_pillow(tmp_path_factory, height, width, size, noise, suffix):
    random = np.random.default_rng(height * 401 + width)
    picture = random.integers(0, 256, (height, width, 3), np.uint8) if noise else scene(height, width)
    path = tmp_path_factory.mktemp("frames") / f"1.{suffix}"
    Image.fromarray(picture).save(path, compress_level=0)
    difference = np.abs(read_square(path, size).astype(int) - pillow_square(path, size))
    assert difference.max() <= 3 and difference.mean() <= 0.3


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "I;16"])
def test_pixels_of_any_kind_in_the_right_size_are_not_touched(tmp_path, monkeypatch, mode):
    picture = scene(40, 40) if mode == "RGB" else scene(40, 40)[:, :, :1].repeat(3, 2)
    deep = Image.fromarray(picture[:, :, 0].astype(np.uint16) * 257)
    image = deep if mode == "I;16" else Image.fromarray(picture).convert(mode)
    image.save(tmp_path / "1.png")
    monkeypatch.setattr("datasets.frames.F.interpolate", None)
    expected = picture if mode == "I;16" else np.asarray(image.convert("RGB"))
    assert np.abs(read_square(tmp_path / "1.png", 40).astype(int) - expected.transpose(2, 0, 1)).max() <= 1


def write_frames(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    for value, name in enumerate(names):
        Image.new("RGB", (8, 8), (value, 2 * value, 200)).save(folder / name)


@pytest.mark.parametrize("form", ["frame_{}.jpg", "кадр 1 - {}.PNG"])
def test_frames_of_any_program_in_order_of_their_number(tmp_path, form):
    names = [form.format(number) for number in (9, 10, 11, 100)]
    write_frames(tmp_path / "vidéo 🎬", names)
    (tmp_path / "vidéo 🎬" / f".{form.format(12)}").touch()
    reader = pickle.loads(pickle.dumps(FrameReader(tmp_path, nframe=4, image_size=8)))
    assert reader.names("vidéo 🎬") == names
    frames = reader.read("vidéo 🎬")
    assert np.abs(frames[:, :, 3, 5] - np.array([[0, 0, 200], [1, 2, 200], [2, 4, 200], [3, 6, 200]])).max() <= 3


def test_sampling_trim_and_doubling(tmp_path):
    write_frames(tmp_path / "v", [f"{i:04d}.png" for i in range(1, 11)])
    for settings_, kept in (((4, 1.0), [0, 3, 5, 8]), ((3, 0.8), [1, 4, 7]), ((20, 1.0), sorted([*range(10)] * 2))):
        assert FrameReader(tmp_path, *settings_, 8).read("v")[:, 0, 0, 0].tolist() == kept
    reader = FrameReader(tmp_path, 3, 1.0, 8)
    drawn = [reader.read("v", np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert (drawn[0] == drawn[1]).all() and (drawn[0] != drawn[2]).any()


def test_folders_that_cannot_be_used(tmp_path):
    root = tmp_path / "frames"
    write_frames(root / "whole", ["1.png"])
    write_frames(root / "doubled", ["0001.png", "0001.jpg", "0002.png"])
    (root / "empty").mkdir()
    reader = FrameReader(root, 1)
    assert reader.missing(["gone", "whole"]) == ["gone"]
    said = {"empty": "no frames", "gone": "No such file", "doubled": "0001.jpg and 0001.png"}
    problems = reader.problems(["whole", *said])
    assert problems.keys() == said.keys()
    assert all(reason in problems[name] and str(root / name) in problems[name] for name, reason in said.items())
    for name in ("../frames", "..", "", "whole/../whole", "/etc"):
        with pytest.raises(InputError, match=r"the video id .* cannot be a file name"):
            reader.read(name)
    with pytest.raises(InputError, match=str(tmp_path / "nowhere")):
        FrameReader(tmp_path / "nowhere", 1).missing(["a"])


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_what_is_cut_off_is_refused(tmp_path, suffix):
    path = tmp_path / f"1.{suffix}"
    Image.fromarray(scene(48, 64)).save(path)
    whole = path.read_bytes()
    for keep in (0, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:keep])
        with pytest.raises(InputError, match=str(path)):
            read_square(path, 32)
