"""The clip features of a video, from an HDF5 file."""

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np

from .errors import InputError, explained, problems_of
from .names import spelt_alike
from .sampling import sample_features

# What h5py raises for files and objects that are damaged or not there.
_H5_ERRORS = (OSError, KeyError, RuntimeError, ValueError, TypeError)


class ClipFeatures:
    """Reads clip features: one dataset per video, float [clips, width].

    The file is opened by the process that reads, at its first reading, and stays open: instances can be made before
    workers fork, and sent to workers that are spawned.
    """

    def __init__(self, path: str | os.PathLike, width: int, max_len: int | None = None, key: str = "{video_id}"):
        """
        Args:
            max_len: features to use per video at most, sampled as in `datasets.sampling`; None: all.
            key: name of a video's dataset in the file, with `{video_id}` to fill in.
        """
        self.path = Path(path)
        self.width = width
        self.max_len = max_len
        self.key = key
        self._file: h5py.File | None = None
        self._spellings: dict[str, str] | None = None  # key with accents in one spelling -> the one in the file
        self._pid: int | None = None

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_file": None, "_pid": None}

    def read(self, video_id: str, random: np.random.Generator | None = None) -> np.ndarray:
        """The features to use of one video.

        Args:
            random: draws the features if there are too many, as in training; without it the middle ones of the spans.

        Returns:
            float32 [clips, width], 1 <= clips (<= max_len).

        Raises:
            InputError: no such video, no clips, another width, not numbers, NaN or infinite; names file and key.
        """
        dataset = self._dataset(video_id)
        where = f"{self.path}, {self._key(video_id)!r}"
        # What is too large for float32 becomes infinite, which is found below.
        with explained(f"{where}: cannot be read", *_H5_ERRORS, MemoryError), np.errstate(over="ignore"):
            features = dataset[()].astype(np.float32, copy=False)
        if self.max_len is not None:
            features = features[sample_features(len(features), self.max_len, random)]
        if not np.isfinite(features).all():
            raise InputError(f"{where}: holds NaN or infinite numbers; extract its features again")
        return features

    def missing(self, video_ids: Iterable[str]) -> list[str]:
        """Returns those of `video_ids` that the file does not hold; leaves the file closed, so that workers can fork.

        Raises InputError if the file cannot be opened or is damaged.
        """
        with explained(f"{self.path} is damaged", KeyError, RuntimeError), contextlib.closing(self):
            file = self._open()
            return [video_id for video_id in video_ids if self._spelt(self._key(video_id), file) not in file]

    def problems(self, video_ids: Iterable[str]) -> dict[str, str]:
        """Video id -> what is wrong with the kind, shape or type of its dataset, for those of which something is.

        Reads no features, and leaves the file closed, so that workers can fork. Raises InputError if the file cannot be
        opened.
        """
        self._open()
        with contextlib.closing(self):
            return problems_of(self._dataset, video_ids)

    def settings(self) -> dict | None:
        """Reads what preproc/extract_features.py made the features with; None for features from elsewhere.

        Leaves the file closed, so that workers can fork. A file that is missing or damaged is for a reading to tell.
        """
        with contextlib.suppress(InputError, *_H5_ERRORS), contextlib.closing(self):
            return {name: json.loads(value) for name, value in self._open().attrs.items()} or None
        return None

    def close(self) -> None:
        """Closes the file; the next reading opens it again."""
        if self._file is not None and self._pid == os.getpid():
            self._file.close()
        self._file = None

    def _key(self, video_id: str) -> str:
        return self.key.replace("{video_id}", video_id)

    def _spelt(self, key: str, file: h5py.File) -> str:
        """The key, or if the file has none such, one that differs in how accents are spelt (NFC, NFD)."""
        if key.isascii() or key in file:
            return key
        if self._spellings is None:
            self._spellings = {spelt_alike(name): name for name in dataset_names(file) if not name.isascii()}
        return self._spellings.get(spelt_alike(key), key)

    def _open(self) -> h5py.File:
        if self._file is None or self._pid != os.getpid():
            if not self.path.exists():
                raise InputError(f"{self.path} does not exist; preproc/extract_features.py makes it")
            with explained(f"{self.path} is not an HDF5 file that can be read"):
                # Nobody writes while we read, and network file systems often cannot lock.
                self._file = h5py.File(self.path, "r", locking=False)
            self._pid = os.getpid()
        return self._file

    def _dataset(self, video_id: str) -> h5py.Dataset:
        file, key = self._open(), self._key(video_id)
        where = f"{self.path}, {key!r}"
        with explained(f"{where}: no features of this video; preproc/check_data.py lists what is missing", *_H5_ERRORS):
            dataset = file[self._spelt(key, file)]
            problem = self._problem(dataset)
        if problem:
            raise InputError(f"{where}: {problem}")
        return dataset

    def _problem(self, dataset: h5py.Dataset | h5py.Group) -> str | None:
        """Says why these cannot be the features of a video, if so."""
        if not isinstance(dataset, h5py.Dataset):
            return "not a dataset of features but a group"
        if dataset.external:  # raw bytes of a file that is no HDF5; zeros where it is too short
            return "keeps its numbers in another kind of file, which is not read"
        if dataset.is_virtual and (missing := _missing_source(dataset)):
            return f"takes features from {missing}, which is not there"
        if dataset.dtype.kind != "f" or len(dataset.shape or ()) != 2 or dataset.shape[1] != self.width:
            return (
                f"{dataset.dtype} of shape {dataset.shape} instead of float [clips, {self.width}] "
                "(the width is the setting input_video_embed_size)"
            )
        return None if dataset.shape[0] else "no clips; extract its features again"


def dataset_names(file: h5py.File) -> list[str]:
    """The names of all datasets of a file, those in groups and behind links to other files included."""
    names: list[str] = []
    groups: list[tuple[str, h5py.Group]] = [("", file)]
    seen = set()  # groups: links may lead in a circle
    while groups:
        above, group = groups.pop()
        info = h5py.h5o.get_info(group.id)
        if (info.fileno, info.addr) not in seen:
            seen.add((info.fileno, info.addr))
            for name in group:
                item = group.get(name)  # None for a link to nothing
                if isinstance(item, h5py.Dataset):
                    names.append(above + name)
                elif isinstance(item, h5py.Group):
                    groups.append((f"{above}{name}/", item))
    return names


def _missing_source(dataset: h5py.Dataset) -> str | None:
    """The first dataset that a virtual one is joined of and that is not there; HDF5 would read zeros in its place."""
    folder = Path(dataset.file.filename).parent
    for source in dataset.virtual_sources():
        path = dataset.file.filename if source.file_name == "." else folder / source.file_name
        try:
            with h5py.File(path, "r", locking=False) as file:
                if source.dset_name in file:
                    continue
        except OSError:
            pass
        return f"{source.dset_name!r} of {path}"
    return None
