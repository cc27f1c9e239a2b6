"""Frames against Pillow, and every message."""

import pickle
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from datasets.errors import InputError
from datasets.frames import FrameReader, read_square


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture with smooth areas, edges and some noise. RGB uint8 [height, width, 3]."""
    random = np.random.default_rng(seed)
    picture = cv2.resize(random.integers(0, 256, (6, 9, 3), dtype=np.uint8), (width, height)).astype(int)
    for _ in range(6):
        top, left = random.integers(0, height), random.integers(0, width)
        picture[top : top + height // 4, left : left + width // 5] = random.integers(0, 256, 3)
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


@pytest.mark.parametrize(
    ("height", "width"),
    [
        (240, 320),
        (241, 323),
        (323, 241),
        (437, 150),
        (96, 171),
        (96, 96),
        (50, 37),
        (97, 96),
        (720, 1280),
        (1, 1),
        (95, 400),
        (6, 5),
    ],
)
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_as_pillow_for_any_size(tmp_path, height, width, suffix):
    path = tmp_path / f"1.{suffix}"
    Image.fromarray(scene(height, width)).save(path)
    difference = np.abs(read_square(path, 96).astype(int) - pillow_square(path, 96))
    assert difference.max() <= 3
    assert difference.mean() <= 0.3


def test_right_sized_frame_is_not_touched(tmp_path, monkeypatch):
    picture = scene(64, 64)
    Image.fromarray(picture).save(tmp_path / "1.png")
    monkeypatch.setattr("datasets.frames.F.interpolate", None)
    assert (read_square(tmp_path / "1.png", 64) == picture.transpose(2, 0, 1)).all()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16"])
def test_other_kinds_of_pixels(tmp_path, mode):
    grey = scene(40, 40)[:, :, :1].repeat(3, 2)
    if mode == "I;16":
        image = Image.fromarray(grey[:, :, 0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(grey).convert(mode)
        grey = np.asarray(image.convert("RGB"))
    image.save(tmp_path / "1.png")
    assert np.abs(read_square(tmp_path / "1.png", 40).astype(int) - grey.transpose(2, 0, 1)).max() <= 1


def write_frames(folder: Path, names: list[str], size: int = 8) -> None:
    folder.mkdir(parents=True)
    for value, name in enumerate(names):
        Image.new("RGB", (size, size), (value, 2 * value, 200)).save(folder / name)


def test_frames_in_order_of_their_number(tmp_path):
    write_frames(tmp_path / "v_x", ["9.png", "10.png", "0011.png", "100.png"])
    (tmp_path / "v_x" / "Thumbs.db").write_bytes(b"")
    (tmp_path / "v_x" / ".12.png").write_bytes(b"")
    reader = FrameReader(tmp_path, nframe=4, image_size=8)
    assert reader.names("v_x") == ["9.png", "10.png", "0011.png", "100.png"]
    frames = reader.read("v_x")
    assert frames.shape == (4, 3, 8, 8)
    assert frames.dtype == np.uint8
    assert frames[:, :, 3, 5].tolist() == [[0, 0, 200], [1, 2, 200], [2, 4, 200], [3, 6, 200]]


def test_sampling_trim_and_doubling(tmp_path):
    write_frames(tmp_path / "v", [f"{i:04d}.png" for i in range(1, 11)])
    assert FrameReader(tmp_path, 4, 1.0, 8).read("v")[:, 0, 0, 0].tolist() == [0, 3, 5, 8]
    assert FrameReader(tmp_path, 3, 0.8, 8).read("v")[:, 0, 0, 0].tolist() == [1, 4, 7]  # of 0..8
    assert FrameReader(tmp_path, 20, 1.0, 8).read("v")[:, 0, 0, 0].tolist() == sorted([*range(10)] * 2)
    reader = FrameReader(tmp_path, 3, 1.0, 8)
    drawn = [reader.read("v", np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert (drawn[0] == drawn[1]).all()
    assert (drawn[0] != drawn[2]).any()


def test_unicode_names_and_pickling(tmp_path):
    write_frames(tmp_path / "vidéo 🎬", ["кадр_1.png", "кадр_2.jpg"])
    reader = FrameReader(tmp_path, 2, image_size=8)
    assert reader.names("vidéo 🎬") == ["кадр_1.png", "кадр_2.jpg"]
    assert (pickle.loads(pickle.dumps(reader)).read("vidéo 🎬") == reader.read("vidéo 🎬")).all()


def test_listing_is_read_once(tmp_path):
    write_frames(tmp_path / "v", ["1.png"])
    reader = FrameReader(tmp_path, 1, image_size=8)
    reader.read("v")
    write_frames(tmp_path / "w", ["2.png"])
    (tmp_path / "w" / "2.png").rename(tmp_path / "v" / "2.png")
    assert reader.names("v") == ["1.png"]


def test_missing_folders_are_found_at_once(tmp_path):
    write_frames(tmp_path / "b", ["1.png"])
    assert FrameReader(tmp_path, 1).missing(["a", "b", "c"]) == ["a", "c"]
    with pytest.raises(InputError, match=r"cannot list the frames in .*nowhere.*extract_frames"):
        FrameReader(tmp_path / "nowhere", 1).missing(["a"])


def test_missing_or_empty_folder(tmp_path):
    reader = FrameReader(tmp_path, 1)
    with pytest.raises(InputError, match=r"cannot read the frames in .*v_gone: No such file or directory"):
        reader.read("v_gone")
    (tmp_path / "v_empty").mkdir()
    (tmp_path / "v_empty" / "notes.txt").write_text("")
    with pytest.raises(InputError, match=r"no frames \(\*.png or \*.jpg\) in .*v_empty"):
        reader.read("v_empty")


def test_problems_of_folders(tmp_path):
    root = tmp_path / "frames"
    write_frames(root / "whole", ["1.png"])
    (root / "empty").mkdir()
    (root / "file").write_text("")
    (root / "link").symlink_to(tmp_path / "nowhere")
    problems = FrameReader(root, 1).problems(["whole", "empty", "file", "link"])
    assert list(problems) == ["empty", "file", "link"]
    assert "no frames (*.png or *.jpg)" in problems["empty"]
    assert "Not a directory" in problems["file"]
    assert "No such file" in problems["link"]


def test_a_frame_number_that_occurs_twice(tmp_path):
    write_frames(tmp_path / "v", ["0001.png", "0001.jpg", "0002.png"])
    with pytest.raises(InputError, match=r"holds frame 1 twice, 0001\.jpg and 0001\.png"):
        FrameReader(tmp_path, 1).read("v")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.95])
def test_truncated_image(tmp_path, suffix, keep):
    path = tmp_path / "v" / f"1.{suffix}"
    path.parent.mkdir()
    Image.fromarray(scene(64, 64)).save(path)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(InputError, match=rf"v.1\.{suffix} is not a whole png or jpg image"):
        FrameReader(tmp_path, 1, image_size=64).read("v")


def test_damaged_or_foreign_file(tmp_path):
    path = tmp_path / "1.png"
    path.write_text("not an image")
    with pytest.raises(InputError, match=r"1\.png is not a whole png or jpg image"):
        read_square(path, 64)
    Image.fromarray(scene(64, 64)).save(path)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"1\.png is not a whole png or jpg image"):
        read_square(path, 64)
    with pytest.raises(InputError, match=r"cannot read .*2\.png: No such file"):
        read_square(tmp_path / "2.png", 64)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_damaged_anywhere(tmp_path, suffix):
    """Flipped bits: an error that names the file; or, as a jpg has no checksum, a picture of the right size."""
    path = tmp_path / f"1.{suffix}"
    Image.fromarray(scene(48, 64)).save(path)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[random.integers(len(whole))] ^= 1 << random.integers(8)
        path.write_bytes(damaged)
        try:
            assert read_square(path, 32).shape == (3, 32, 32)
        except InputError as error:
            refused += 1
            assert f"1.{suffix}" in str(error)
    assert refused == 200 if suffix == "png" else refused > 0


@pytest.mark.parametrize("directory", ["../secret", "..", ".", "", "a/../../secret", "v\0"])
def test_ids_stay_inside_the_root(tmp_path, directory):
    write_frames(tmp_path / "secret", ["1.png"])
    write_frames(tmp_path / "frames" / "a", ["1.png"])
    for name in (directory, str(tmp_path / "secret")):
        with pytest.raises(InputError, match=r"no frames in .*frames: the video id .* cannot be a file name"):
            FrameReader(tmp_path / "frames", 1, image_size=8).read(name)


def test_links_are_followed(tmp_path):
    """Large datasets lie on several disks: links to a video's folder, to a frame, to the root."""
    write_frames(tmp_path / "other disk" / "a", ["1.png"])
    (tmp_path / "frames" / "b").mkdir(parents=True)
    (tmp_path / "frames" / "a").symlink_to(tmp_path / "other disk" / "a")
    (tmp_path / "frames" / "b" / "0001.png").symlink_to(tmp_path / "other disk" / "a" / "1.png")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "frames")
    expected = FrameReader(tmp_path / "other disk", 1, image_size=8).read("a")
    for root in ("frames", "elsewhere"):
        reader = FrameReader(tmp_path / root, 1, image_size=8)
        assert reader.missing(["a", "b"]) == []
        assert reader.problems(["a", "b"]) == {}
        assert (reader.read("a") == expected).all()
        assert (reader.read("b") == expected).all()


@pytest.mark.parametrize(
    "names", [["%04d.jpg"], ["frame_%d.png"], ["img%05d.jpeg"], ["video 1 - %d.PNG"]], ids=lambda names: names[0]
)
def test_frames_of_other_programs_with_gaps(tmp_path, names):
    numbers = [2, 3, 7, 11, 200]
    write_frames(tmp_path / "v", [names[0] % number for number in numbers])
    reader = FrameReader(tmp_path, 5, image_size=8)
    assert reader.names("v") == [names[0] % number for number in numbers]
    assert reader.read("v").shape == (5, 3, 8, 8)


@pytest.mark.parametrize(("asked", "there"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_spelt_otherwise(tmp_path, asked, there):
    name = "Zo\u00eb \ud55c\uad6d"
    folder = tmp_path / unicodedata.normalize(there, name)
    folder.mkdir()
    Image.fromarray(scene(20, 30)).save(folder / "1.png")
    wanted = unicodedata.normalize(asked, name)
    reader = FrameReader(tmp_path, 2, image_size=8)
    for one in (reader, FrameReader(tmp_path, 2, image_size=8)):
        assert one.read(wanted).any()
    assert reader.missing([wanted, "Zo\u00eb"]) == ["Zo\u00eb"]
    with pytest.raises(InputError, match="cannot read the frames in"):
        reader.read("Zo\u00eb")


def test_counts_are_no_setting(tmp_path):
    """They are not for a checkpoint to keep."""
    (tmp_path / ".extract_frames.json").write_text('{"fps": 3.0, "counts": {"v_a": 7}}')
    reader = FrameReader(tmp_path, 2)
    assert reader.settings() == {"fps": 3.0}
    assert reader.counts() == {"v_a": 7}
