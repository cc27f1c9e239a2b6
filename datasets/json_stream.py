"""Reading one huge JSON object record by record, in memory that does not grow with the file."""

import codecs
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import ijson

from .errors import InputError
from .files import reading


def iterate_json_object(
    path: str | os.PathLike, on_progress: Callable[[int], Any] = lambda count: None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields `(key, record)` for every entry of a file that holds `{key: {…}, key: {…}, …}`.

    Keys come in the order of the file, repeated ones included.

    Args:
        on_progress: called with the number of bytes of every piece read.

    Raises:
        InputError: the file is missing, unreadable, not UTF-8, not JSON, no object, or has a value that is none.
    """
    with reading(path), Path(path).open("rb") as file:
        head = file.read(1 << 12)
        mark = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
        if not head[mark:].lstrip().startswith(b"{"):
            raise InputError(f"{path} is not a JSON object of records (it does not begin with '{{')")
        file.seek(mark)
        after = "the beginning"
        try:
            for key, record in ijson.kvitems(_Watched(file, on_progress), "", use_float=True):
                if not isinstance(record, dict):
                    raise InputError(f"{path}: the value of {key!r} is no object, but every record must be one")
                yield key, record
                after = f"the record {key!r}"
        except ijson.JSONError as error:
            within = f"within its first {file.tell():,} bytes"
            raise InputError(f"{path} is not valid JSON after {after}, {within}: {error}") from None


class _Watched:
    """A file that tells how much of it is read."""

    def __init__(self, file: IO[bytes], on_progress: Callable[[int], Any]):
        self._file, self._on_progress = file, on_progress

    def read(self, size: int) -> bytes:
        piece = self._file.read(size)
        self._on_progress(len(piece))
        return piece
