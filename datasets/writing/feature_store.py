"""Features on disk while they are being made: a folder of whole parts, one per video, that ends as one HDF5 file.

An HDF5 file that is open for writing can be left unreadable by a kill, so that none ever is: each video becomes a file
of its own in OUT.h5.parts, written aside and renamed, and OUT.h5 is written aside from all of them and renamed. Any
number of processes and machines can fill the folder at once.
"""

import contextlib
import glob
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from datasets.clips import dataset_names
from datasets.errors import explained
from datasets.files import atomic_write
from datasets.names import hashed_name, is_system_entry
from datasets.writing.locks import sole_writer
from datasets.writing.settings_note import hold_to_settings, keep_settings

NOTE = "note"  # an attribute of a video's dataset
FAILED = "failed:"  # a group of attributes, key -> reason; no video is called so


class FeatureStore:
    """The features of one HDF5 file, complete or in the making.

    Args:
        path: the HDF5 file; one dataset per video, float [clips, width], and the settings as attributes. What was noted
            about a video is an attribute: of its dataset, or of the group `FAILED` if it has no features.

    Raises:
        InputError: the file is no HDF5 file, or it or its parts were made with other settings.
    """

    def __init__(self, path: Path, settings: dict):
        self.path = path
        self.settings = settings
        self.parts = Path(f"{path}.parts")
        self._in_file, self._failed = self._read_file()

    def _read_file(self) -> tuple[dict[str, str | None], dict[str, str]]:
        """The videos in the file, each with what was noted about it, and those that failed."""
        if not self.path.exists():
            return {}, {}
        unusable = f"{self.path} cannot be read (move it away, or name another output)"
        # Network file systems often cannot lock.
        with explained(unusable, OSError, json.JSONDecodeError), h5py.File(self.path, "r", locking=False) as file:
            kept = {name: json.loads(value) for name, value in file.attrs.items() if name in self.settings}
            notes = {key: file[key].attrs.get(NOTE) for key in dataset_names(file)}
            failed = dict(file[FAILED].attrs) if FAILED in file else {}
        hold_to_settings(kept, self.settings, f"the features in {self.path}")
        return notes, failed

    @contextlib.contextmanager
    def writing(self, shard: int | None = None) -> Iterator[None]:
        """Begins a run, and keeps others out until it ends: all if it is whole or merges, else those of its shard.

        Raises:
            InputError: another run writes, or as `start`.
        """
        with explained(f"cannot write {self.path}"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with sole_writer(self.path.with_name(f".{self.path.name}.lock"), self.path, shard):
            self.refresh()
            self.start()
            yield

    def refresh(self) -> None:
        """Reads the file again: another run may have written it."""
        self._in_file, self._failed = self._read_file()

    def start(self) -> None:
        """Makes the folder of parts. Raises InputError when it cannot, or they were made with other settings."""
        with explained(f"cannot write {self.parts}"):
            self.parts.mkdir(parents=True, exist_ok=True)
        keep_settings(self.parts / "settings.json", self.settings, f"the features in {self.parts}")

    def _part(self, key: str) -> Path:
        return self.parts / f"{hashed_name(key)}.npy"

    def _note(self, key: str) -> Path:
        return self.parts / f"{hashed_name(key)}.txt"

    def __contains__(self, key: str) -> bool:
        return key in self._in_file or self._part(key).exists()

    def write(self, key: str, features: np.ndarray) -> None:
        """Stores the features of one video, float [clips, width]; they are there whole or not at all."""
        with atomic_write(self._part(key), "wb") as file:
            np.save(file, features)

    def write_note(self, key: str, reason: str) -> None:
        """Notes why a video has no features, or what is wrong with it, to be told when all shards are done."""
        with atomic_write(self._note(key)) as file:
            file.write(reason)

    def remove_note(self, key: str) -> None:
        self._note(key).unlink(missing_ok=True)

    def note(self, key: str) -> str | None:
        """Returns what was noted about a video, if anything."""
        path = self._note(key)
        if path.exists():
            return path.read_text(encoding="utf-8")
        return self._in_file.get(key) if key in self else self._failed.get(key)

    def merge(self, keys: Iterable[str]) -> int:
        """Writes the HDF5 file: what it held before, and the parts and notes of these videos, which are then removed.

        Returns:
            the number of videos in the file.
        """
        keys = list(keys)
        parts = {key: self._part(key) for key in keys if key not in self._in_file and self._part(key).exists()}
        notes = {key: self.note(key) for key in keys if key not in self}
        failed = {key: reason for key, reason in (self._failed | notes).items() if reason and key not in parts}
        for left in self.path.parent.glob(f".{glob.escape(self.path.name)}.*.tmp"):  # by a run that was killed here
            left.unlink(missing_ok=True)
        if parts or failed != self._failed or not self.path.exists():
            with atomic_write(self.path, "w+b") as file:
                self._write_file(file, parts, failed)
            self._in_file |= {key: self.note(key) for key in parts}
            self._failed = failed
        with contextlib.suppress(OSError):
            self._remove_merged(keys)
        return len(self._in_file)

    def _remove_merged(self, keys: list[str]) -> None:
        """Removes what the file now has of these videos, and the folder once nothing is left in it."""
        done = {hashed_name(key) for key in keys if key in self._in_file}
        failed = {hashed_name(key) for key in keys if key in self._failed}
        rest = []
        for path in sorted(self.parts.iterdir()):  # a video's features before the note about them
            name = path.name.removeprefix(".").partition(".")[0]  # .<name>.<more>.tmp: a run was killed writing it
            if is_system_entry(path.name):
                continue
            if name in done or (name in failed and path.suffix != ".npy"):
                path.unlink()
            else:
                rest.append(path)
        if all(path.name.removeprefix(".").startswith("settings.json") for path in rest):
            shutil.rmtree(self.parts)

    def _write_file(self, file: IO[bytes], parts: dict[str, Path], failed: dict[str, str]) -> None:
        known: Any = h5py.File(self.path, "r", locking=False) if self._in_file else contextlib.nullcontext()
        # The same features make the same bytes, whichever run they come from: one order, and no times.
        with known as before, h5py.File(file, "w", track_order=False) as after:
            for name, value in self.settings.items():
                after.attrs[name] = json.dumps(value)
            for key in sorted(self._in_file.keys() | parts.keys()):
                features = np.load(parts[key], allow_pickle=False) if key in parts else before[key][()]
                dataset = after.create_dataset(key, data=features, track_times=False)
                if (note := self.note(key)) is not None:
                    dataset.attrs[NOTE] = note
            if failed:
                reasons = after.create_group(FAILED).attrs
                for key in sorted(failed):
                    reasons[key] = failed[key]
