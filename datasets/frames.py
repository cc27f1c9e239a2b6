"""The frames of a video: choosing, reading and sizing them."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import InputError, explained, problems_of
from .files import FRAME_COUNTS, FRAME_SETTINGS, read_json
from .names import other_spellings, video_id_problem
from .sampling import sample_frames

_FRAME_NAME = re.compile(r"(?!\.)(?:.*\D)?(\d+)\.(?:png|jpe?g)", re.IGNORECASE)
# OpenCV decodes a jpg that was cut off, part of it grey; whole ones end so, but for what some programs append.
_END_OF_JPG, _TRAILER = b"\xff\xd9", 1024


class FrameReader:
    """Reads a few frames of a video, sampled as in `datasets.sampling`, as squares of one size.

    Frames are `<root>/<directory>/*.png` or `*.jpg`, in order of the number that ends their name. The names in a
    directory are read once per process. Instances can be sent to worker processes.
    """

    def __init__(self, root: str | os.PathLike, nframe: int, trim: float = 1.0, image_size: int = 384):
        """
        Args:
            trim: share of the video that is kept, around its middle; 0 < trim <= 1.
        """
        self.root = Path(root)
        self.nframe = nframe
        self.trim = trim
        self.image_size = image_size
        self._names: dict[str, str] = {}  # directory -> file names, joined by "\n": one small object per video
        self._spelt: dict[str, str] = {}  # directory -> its name on disk, where its accents are spelt otherwise

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_names": {}}

    def read(self, directory: str, random: np.random.Generator | None = None) -> np.ndarray:
        """Reads the frames to show of one video.

        Args:
            random: draws the frames, as in training; without it the middle ones of the spans.

        Returns:
            uint8 [nframe, 3, image_size, image_size], RGB.

        Raises:
            InputError: no such folder, no frames in it, a file that is no whole image; names the path.
        """
        names = self.names(directory)
        folder = self.folder(directory)
        chosen = sample_frames(len(names), self.nframe, self.trim, random)
        frames = np.empty((self.nframe, 3, self.image_size, self.image_size), np.uint8)
        for i, index in enumerate(chosen):
            if i > 0 and index == chosen[i - 1]:  # doubled in place
                frames[i] = frames[i - 1]
                continue
            read_square(folder / names[index], self.image_size, frames[i])
        return frames

    def folder(self, directory: str) -> Path:
        """The folder of a video's frames."""
        return self.root / self._spelt.get(directory, directory)

    def names(self, directory: str) -> list[str]:
        """File names of a video's frames in order. Raises InputError when there is no such folder or no frame in it."""
        if directory not in self._names:
            self._names[directory] = "\n".join(self._list(directory))
        return self._names[directory].split("\n")

    def missing(self, directories: Iterable[str]) -> list[str]:
        """Returns those of `directories` that do not exist. One look at the root, whatever their number.

        A name on disk may spell accents otherwise (NFD, NFC). Raises InputError if the root itself cannot be listed.
        """
        directories = list(directories)
        with explained(f"cannot list the frames in {self.root} (preproc/extract_frames.py makes them)"):
            present = {path.name for path in self.root.iterdir()}
        self._spelt |= other_spellings(directories, present)
        return [directory for directory in directories if directory not in present and directory not in self._spelt]

    def problems(self, directories: Iterable[str]) -> dict[str, str]:
        """Directory -> why it has no frames that can be listed, for those of `directories` of which that is so."""
        return problems_of(self.names, directories)

    def settings(self) -> dict | None:
        """Reads what preproc/extract_frames.py made the frames with; None for frames from elsewhere."""
        note = self._note()
        return {name: note[name] for name in note if name != FRAME_COUNTS} if isinstance(note, dict) else note

    def counts(self) -> dict[str, int]:
        """Reads how many frames preproc/extract_frames.py made in each directory, as far as it says."""
        note = self._note()
        counts = note.get(FRAME_COUNTS) if isinstance(note, dict) else None
        return counts if isinstance(counts, dict) else {}

    def _note(self) -> Any:
        path = self.root / FRAME_SETTINGS
        return read_json(path) if path.is_file() else None

    def _list(self, directory: str) -> list[str]:
        folder = self.folder(directory)
        if problem := video_id_problem(directory):  # links lead wherever their maker wanted, ids stay in `root`
            raise InputError(f"no frames in {self.root}: {problem}")
        try:
            found = [path.name for path in folder.iterdir()]
        except OSError as error:
            if not directory.isascii() and directory not in self._spelt and not self.missing([directory]):
                return self._list(directory)  # under another spelling
            raise InputError(f"cannot read the frames in {folder}: {error.strerror}") from error
        numbered: dict[int, str] = {}
        for name in found:
            if match := _FRAME_NAME.fullmatch(name):
                number = int(match[1])
                if number in numbered:
                    one, other = sorted((numbered[number], name))
                    raise InputError(f"{folder} holds frame {number} twice, {one} and {other}: remove one of each")
                numbered[number] = name
        if not numbered:
            raise InputError(f"no frames (*.png or *.jpg) in {folder}; extract them again")
        return [numbered[number] for number in sorted(numbered)]


def read_square(path: str | os.PathLike, size: int, out: np.ndarray | None = None) -> np.ndarray:
    """Reads one image, its short side resized to `size`, the centre cropped.

    Same as Pillow's bicubic `Image.resize` followed by a crop (the long side truncated, the crop's offset rounded), to
    2/255, of the pixels as they are stored, whatever an EXIF tag says. A png that is damaged anywhere is refused; a jpg
    has no checksum, and may show what happened to it.

    Args:
        path: png or jpg; any number of channels, 8 or 16 bits.
        out: uint8 [3, size, size] to write into.

    Returns:
        uint8 [3, size, size], RGB.

    Raises:
        InputError: the file cannot be read or is no whole image.
    """
    with explained(f"cannot read {path}"):
        data = Path(path).read_bytes()
    image = _decode(data)
    if image is None:
        raise InputError(f"{path} is not a whole png or jpg image; extract the frames of this video again")
    if out is None:
        out = np.empty((3, size, size), np.uint8)
    height, width = image.shape[:2]
    short = min(height, width)
    if short != size:
        new = [size if side == short else int(size * side / short) for side in (height, width)]
        resized = _resize(torch.from_numpy(image).permute(2, 0, 1)[None], *new)
        top, left = _crop_offset(new[0], size), _crop_offset(new[1], size)
        crop = resized[0, :, top : top + size, left : left + size].numpy()
        for plane in range(3):
            out[plane] = crop[2 - plane]  # BGR to RGB
        return out
    top, left = _crop_offset(height, size), _crop_offset(width, size)
    cv2.split(image[top : top + size, left : left + size], [out[2], out[1], out[0]])  # BGR to RGB, straight into `out`
    return out


def _resize(image: Tensor, height: int, width: int) -> Tensor:
    """Antialiased bicubic resize of uint8 [1, 3, H, W]: the width, then the height, rounded after each as in Pillow.

    Pillow 13 begins with the height where that drops more than twice as many rows as the width drops columns: pictures
    more than twice as tall as wide. (Seen in its results; earlier versions always begin with the width.)
    """
    rows_dropped, columns_dropped = image.shape[2] - height, image.shape[3] - width
    if rows_dropped > 2 * max(columns_dropped, 0):
        image = F.interpolate(image, (height, image.shape[3]), mode="bicubic", antialias=True)
    return F.interpolate(image, (height, width), mode="bicubic", antialias=True)


def _crop_offset(side: int, size: int) -> int:
    return round((side - size) / 2)


def _decode(data: bytes) -> np.ndarray | None:
    """BGR uint8 [height, width, 3]; None if `data` is no whole image."""
    if data.startswith(b"\xff\xd8") and _END_OF_JPG not in data[-_TRAILER:]:
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:  # empty, or larger than OpenCV allows
        return None
