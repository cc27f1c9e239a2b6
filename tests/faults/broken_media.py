"""Broken features, frames and videos."""

import io
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import h5py
import numpy as np
from numpy.random import Generator
from PIL import Image, ImageFile

from datasets.clips import ClipFeatures
from datasets.frames import FrameReader
from datasets.video.decoding import VideoFrames
from preproc.extract_frames import FrameSettings, extract_frames
from tests.datasets.test_frames import pillow_square
from tests.datasets.video.video_files import make_video

from .broken_text import train_once
from .cases import Case, digest
from .mutations import damage


def h5_cases(folder: Path, random: Generator) -> Iterator[Case]:
    path = folder / "data/anetqa.h5"
    whole = path.read_bytes()
    with h5py.File(path, "r") as file:
        videos = [name for name in file if not name.startswith("test")]

    def read() -> str:
        train_once(folder)
        features = ClipFeatures(path, width=8)
        return digest({video: digest(features.read(video)) for video in videos})

    def reference() -> str:
        found = {}
        with h5py.File(path, "r") as file:
            for video in videos:
                clips = file[video][()]
                assert clips.ndim == 2 and clips.shape[1] == 8 and len(clips) and clips.dtype.kind == "f"
                assert np.isfinite(clips.astype(np.float32)).all()
                found[video] = digest(clips.astype(np.float32))
        return digest(found)

    for what, content in damage(whole, random, count=44):
        yield Case.of_file(what, path, content, read, reference)
    for what, change in H5_CHANGES.items():
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            change(file)
        content = path.read_bytes()
        path.write_bytes(whole)
        yield Case.of_file(what, path, content, read, reference)


def _replaced(data: Any = None, **options: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["train1"]
        if data is not None or options:
            file.create_dataset("train1", data=data, **options)

    return change


def _linked(link: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["train1"]
        file["train1"] = link

    return change


def _virtual(file: h5py.File) -> None:
    del file["train1"]
    layout = h5py.VirtualLayout((3, 8), np.float32)
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (3, 8))
    file.create_virtual_dataset("train1", layout)


def _references(file: h5py.File) -> None:
    reference = file["train0"].ref
    del file["train1"]
    file.create_dataset("train1", data=np.array([[reference] * 8], dtype=h5py.ref_dtype), dtype=h5py.ref_dtype)


CLIPS = np.ones((3, 8), np.float32)
H5_CHANGES: dict[str, Callable[[h5py.File], None]] = {
    "a video is gone": _replaced(),
    "another width": _replaced(np.ones((3, 7), np.float32)),
    "one clip without its axis": _replaced(np.ones(8, np.float32)),
    "three axes": _replaced(np.ones((3, 1, 8), np.float32)),
    "a single number": _replaced(np.float32(1)),
    "no clips": _replaced(np.ones((0, 8), np.float32)),
    "integers": _replaced(np.ones((3, 8), np.int64)),
    "booleans": _replaced(np.ones((3, 8), bool)),
    "complex numbers": _replaced(np.ones((3, 8), complex)),
    "text": _replaced(np.full((3, 8), b"1.0")),
    "text of any length": _replaced(np.full((3, 8), "1.0", object), dtype=h5py.string_dtype()),
    "a record": _replaced(np.zeros((3, 8), [("a", "f4"), ("b", "f4")])),
    "an enumeration": _replaced(np.zeros((3, 8), np.int8), dtype=h5py.enum_dtype({"a": 0})),
    "references": _references,
    "nothing": _replaced(h5py.Empty("f")),
    "a NaN": _replaced(np.where(np.eye(3, 8), np.nan, CLIPS)),
    "infinity": _replaced(np.where(np.eye(3, 8), np.inf, CLIPS)),
    "too large for float32": _replaced(np.full((3, 8), 1e300)),
    "float64": _replaced(CLIPS.astype(np.float64)),
    "float16": _replaced(CLIPS.astype(np.float16)),
    "other byte order": _replaced(CLIPS.astype(">f4")),
    "compressed": _replaced(CLIPS, compression="gzip"),
    "with a checksum": _replaced(CLIPS, fletcher32=True),
    "never written, a trillion clips": _replaced(shape=(10**12, 8), dtype="f4", chunks=(1024, 8)),
    "a group": lambda file: (file.__delitem__("train1"), file.create_group("train1"))[0],
    "a link to nothing": _linked(h5py.SoftLink("/nowhere")),
    "a link to itself": _linked(h5py.SoftLink("/train1")),
    "a link to another file": _linked(h5py.ExternalLink("/etc/passwd", "/")),
    "numbers from another file": _replaced(shape=(3, 8), dtype="f4", external=[("/etc/passwd", 0, 96)]),
    "made of another file": _virtual,
}


def image_cases(folder: Path, random: Generator, suffix: str) -> Iterator[Case]:
    directory = folder / f"{suffix}_frames" / "v"
    directory.mkdir(parents=True)
    rows, columns = np.mgrid[0:64, 0:80]
    picture = np.stack([rows * 4, columns * 3, (rows + columns) % 256], axis=-1).astype(np.uint8)
    for number in range(1, 4):
        Image.fromarray(picture).save(directory / f"000{number}.{suffix}")
    path = directory / f"0002.{suffix}"
    reader = FrameReader(directory.parent, nframe=3, image_size=64)

    def read() -> str:
        return digest(reader.read("v"))

    def reference() -> str:
        frames = reader.read("v")
        # Pillow gives up on a jpg in which something follows its last line, which harms no pixel.
        with patch.object(ImageFile, "LOAD_TRUNCATED_IMAGES", suffix == "jpg"):
            expected = pillow_square(path, 64)
        difference = np.abs(frames[1].astype(int) - expected)
        assert difference.max() <= 3, f"pixels differ by {difference.max()} from Pillow's"
        return digest(frames)

    for what, content in damage(path.read_bytes(), random, count=55):
        yield Case.of_file(what, path, content, read, reference)
    for what, content in other_images(picture, suffix):
        yield Case.of_file(what, path, content, read, reference)


def other_images(picture: np.ndarray, suffix: str) -> Iterator[tuple[str, bytes]]:
    def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    image = Image.fromarray(picture)
    for kind in ("png", "jpeg", "gif", "bmp", "webp", "tiff", "ppm"):
        yield f"{kind} under this name", saved(image, kind)
    yield "one pixel", saved(image.resize((1, 1)), "png")
    yield "a line", saved(image.resize((1, 5000)), "png")
    if suffix == "png":
        for mode in ("1", "L", "LA", "P", "RGBA"):
            yield f"mode {mode}", saved(image.convert(mode), "png")
        yield "interlaced, by hand: its flag alone", saved(image, "png")[:28] + b"\1" + saved(image, "png")[29:]
        for size in (0, 1 << 30, (1 << 31) - 1):
            header = b"IHDR" + size.to_bytes(4) + saved(image, "png")[20:29]
            content = saved(image, "png")
            yield f"{size} pixels wide", content[:12] + header + zlib.crc32(header).to_bytes(4) + content[33:]
    else:
        yield "progressive", saved(image, "jpeg", progressive=True)
        yield "grey", saved(image.convert("L"), "jpeg")
        yield "CMYK", saved(image.convert("CMYK"), "jpeg")
        exif = Image.Exif()
        exif[0x0112] = 6
        yield "turned by its EXIF tag", saved(image, "jpeg", exif=exif)
        content = saved(image, "jpeg")
        at = content.index(b"\xff\xc0") + 5
        for size in (0, 65535):
            yield f"{size} pixels high", content[:at] + size.to_bytes(2) + content[at + 2 :]


def png_cases(folder: Path, random: Generator) -> Iterator[Case]:
    yield from image_cases(folder, random, "png")


def jpg_cases(folder: Path, random: Generator) -> Iterator[Case]:
    yield from image_cases(folder, random, "jpg")


def mp4_cases(folder: Path, random: Generator) -> Iterator[Case]:
    videos, frames = folder / "videos", folder / "extracted"
    path = make_video(
        videos / "v_a; touch injected.mp4", 20, options=("-pix_fmt", "yuv420p", "-movflags", "+faststart")
    )
    other = make_video(videos / "v_b.mp4", 3)  # of which nothing else must change

    def read() -> str:
        shutil.rmtree(frames, ignore_errors=True)
        Path(f"{frames}.failed.csv").unlink(missing_ok=True)
        problems = extract_frames(videos, frames, "anetqa", FrameSettings(fps=None), jobs=1)
        if problems:
            (problem,) = problems
            assert problem.path == path and problem.reason and "\n" not in problem.reason
            return f"listed: {problem.reason}"
        return digest([digest(np.asarray(Image.open(frame))) for frame in sorted(frames.glob("*/*.png"))])

    def reference() -> str:
        decoded = [digest(frame) for frame in VideoFrames(path)]
        assert len(decoded) > 1, "next to nothing of it is left, and nobody is told"
        return digest(decoded + [digest(frame) for frame in VideoFrames(other)])

    for what, content in damage(path.read_bytes(), random, count=44):
        yield Case.of_file(what, path, content, read, reference)
