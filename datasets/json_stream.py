"""Reading one huge JSON object record by record, in memory that does not grow with the file."""

import codecs
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .errors import InputError
from .files import open_regular

CHUNK_BYTES = 1 << 22

# A value cut by the end of the window fails at most this far before that end (the longest literal is `-Infinity`).
_TAIL = 16


def iterate_json_object(
    path: str | os.PathLike, on_progress: Callable[[int], Any] | None = None, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yields `(key, record, text of the record)` for every entry of a file that holds `{key: {…}, key: {…}, …}`.

    Keys come in the order of the file, repeated ones included. Each record is decoded by the standard library at the
    speed of `json.load`, but only one of them exists at a time.

    Args:
        path: the JSON file.
        on_progress: called with the number of bytes of every piece read.
        chunk_bytes: size of such a piece.

    Raises:
        InputError: the file is missing, unreadable, not UTF-8, not JSON, no object, or has a value that is none.
    """
    path = Path(path)
    try:
        with open_regular(path, "rb") as file:
            yield from _ObjectReader(path, file, on_progress, chunk_bytes).records()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


class _ObjectReader:
    """A window of text that moves over the file; `position` is where the next token starts in it."""

    def __init__(self, path, file, on_progress, chunk_bytes):
        self.path, self.file = path, file
        self.on_progress, self.chunk_bytes = on_progress, chunk_bytes
        self.decode_bytes = codecs.getincrementaldecoder("utf-8-sig")().decode
        self.decode_value = json.JSONDecoder().raw_decode
        self.text, self.position = "", 0
        self.bytes_read = self.characters_dropped = 0
        self.at_end = False

    def records(self) -> Iterator[tuple[str, dict[str, Any], str]]:
        if self._next_character() != "{":
            self._fail("is not a JSON object of records (it does not begin with '{')")
        self.position += 1
        if self._next_character() == "}":
            self.position += 1
        else:
            yield from self._entries()
        if self._next_character():
            self._fail_at("something follows the end of the object")

    def _entries(self) -> Iterator[tuple[str, dict[str, Any], str]]:
        while True:
            if self._next_character() != '"':
                self._fail_at("expected a quoted key")
            key = self._value()
            if self._next_character() != ":":
                self._fail_at(f"expected ':' after the key {key!r}")
            self.position += 1
            if self._next_character() != "{":
                self._fail_at(f"expected '{{' after the key {key!r}: every value must be an object")
            record = self._value()
            yield key, record, self.text[self.value_start : self.position]
            separator = self._next_character()
            if separator not in ("}", ","):
                self._fail_at(f"expected ',' or '}}' after the record {key!r}")
            self.position += 1
            if separator == "}":
                return

    def _next_character(self) -> str:
        """Moves `position` to the next character that is not white space and returns it; empty at the file's end."""
        while True:
            while self.position < len(self.text):
                character = self.text[self.position]
                if character not in " \t\n\r":
                    return character
                self.position += 1
            if not self._read_more(self.chunk_bytes):
                return ""

    def _value(self) -> Any:
        """Decodes the value at `position` and moves behind it, reading on while the window ends within the value."""
        wanted = self.chunk_bytes
        while True:
            try:
                value, end = self.decode_value(self.text, self.position)
            except json.JSONDecodeError as error:
                cut = error.pos >= len(self.text) - _TAIL or error.msg.startswith("Unterminated string")
                if cut and self._read_more(wanted):
                    wanted *= 2  # so that a very long value is not decoded again for every piece of it
                    continue
                self.position = error.pos
                self._fail_at(error.msg)
            except RecursionError:
                self._fail_at("nested too deeply")
            except ValueError as error:  # an integer of more digits than Python converts
                self._fail_at(str(error))
            self.value_start, self.position = self.position, end
            return value

    def _read_more(self, size: int) -> bool:
        """Drops the text before `position` and appends the next piece of the file; False at the end of the file."""
        if self.at_end:
            return False
        piece = self.file.read(size)
        self.at_end = not piece
        self.bytes_read += len(piece)
        try:
            text = self.decode_bytes(piece, final=self.at_end)
        except UnicodeDecodeError as error:
            offset = self.bytes_read - len(error.object) + error.start
            self._fail(f"is not UTF-8 text: {error.reason} at byte {offset}")
        self.characters_dropped += self.position
        self.text, self.position = self.text[self.position :] + text, 0
        if self.on_progress is not None and piece:
            self.on_progress(len(piece))
        return not self.at_end or bool(text)

    def _fail_at(self, reason: str):
        self._fail(f"is not valid JSON: {reason} (character {self.characters_dropped + self.position})")

    def _fail(self, reason: str):
        raise InputError(f"{self.path} {reason}")
