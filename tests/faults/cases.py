"""Broken versions of files, made by a seeded generator, and what a process of its own makes of each."""

import copy
import csv
import hashlib
import io
import json
import multiprocessing
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import InputError

Random = np.random.Generator
LONGEST_MESSAGE = 1500  # characters
SECONDS, MEMORY = 60.0, 3 << 30  # that reading one input may take, and bytes of address space that it may add
OUTCOMES = {
    "refused": "one-line error",  # that names the file and is not too long to read
    "listed": "documented skip",  # a video: the others are used, and the list at the end says what is wrong with it
    "as before": "unchanged result",
    "other content": "read as what it now says",  # which is what another reader makes of the file
    "unclear": "traceback, or a line without its name",  # where one is allowed
    "defect": "anything else",  # a crash, a hang, what no other reader makes of the file
}


@dataclass(frozen=True)
class Input:
    """An intact file: read as a run reads it, and by another reader, both as text; `broken` is put in its place.

    A message holds `named`, or the file's name. What may be unclear is the message, never what is read.
    """

    path: Path
    read: Callable[[], str]
    reference: Callable[[], str]
    broken: Iterable[bytes]
    named: str | None = None
    may_be_unclear: bool = False

    def judge(self, before: str) -> tuple[str, str]:
        """The outcome and what was said; `before` is what was read of the whole file."""
        state, said = in_child(self.read)
        named = self.path.name if self.named is None else self.named
        if state == "refused" and "\n" not in said and len(said) <= LONGEST_MESSAGE and named in said:
            return "refused", said
        if state != "read":
            is_allowed = self.may_be_unclear and state in ("refused", "traceback")
            return "unclear" if is_allowed else "defect", f"{state}: {said[:LONGEST_MESSAGE]}"
        if said == before or said.startswith("listed: "):
            return "as before" if said == before else "listed", said
        try:
            expected = self.reference()
        except Exception as error:
            expected = f"an error: {error!r}"
        return "other content" if said == expected else "defect", f"{said[:300]} instead of {expected[:300]}"


def in_child(function: Callable[[], str]) -> tuple[str, str]:
    """Calls a function in a process of its own: ("read", …), ("refused", …), ("traceback", …), or how that ended."""
    answer, end = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_answer, args=(function, end))
    child.start()
    end.close()
    try:
        return answer.recv() if answer.poll(SECONDS) else ("hang", f"for more than {SECONDS:.0f} seconds")
    except EOFError:
        return "crash", "no answer"
    finally:
        if child.is_alive():
            os.killpg(child.pid, signal.SIGKILL)
        child.join()


def _answer(function: Callable[[], str], end: Connection) -> None:
    os.setsid()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    with Path(os.devnull).open("w") as sys.stderr, redirect_stdout(sys.stderr):
        try:
            end.send(("read", function()))
        except InputError as error:
            end.send(("refused", str(error)))
        except BaseException:
            end.send(("traceback", "".join(traceback.format_exc().splitlines(True)[-12:])))


def command(main: Callable[[list[str]], int], arguments: list[str]) -> None:
    """Calls a command line. Raises InputError with what it says if it ends with an error of the user's."""
    with redirect_stderr(io.StringIO()) as errors:
        code = main(arguments)
    if code == 2:
        raise InputError(errors.getvalue().strip().removeprefix("error: "))
    assert code == 0, errors.getvalue()


def digest(value: Any) -> str:
    """The same text for the same value; short for an array."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    return json.dumps(value, sort_keys=True, default=digest)


# What stands where another kind of value belongs.
ODD_VALUES: tuple[Any, ...] = (None, [], {}, [[]], {"a": {"b": None}}, True, 0, -1, 2, 1.5, 10**9, 10**400)
ODD_VALUES += (float("nan"), float("-inf"), "", " ", "\0", "\ud800", "a\nb", "x" * 200_000)
ODD_VALUES += ("../../etc/passwd", "..", "$(touch injected)")
OTHER_FILES = (b"", b"<!DOCTYPE html><html><title>404</title></html>", bytes(4096), b"\x1f\x8b\x08\x00" + bytes(100))
OTHER_FILES += (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 4\n", b"null", b"[" * 100_000)
REPLACED = (("\r\n", "\r"), ("\n", "\r\n"), (",", ";"), (",", "\t"), ("what", '"what'), ('"', "'"))


def damage(content: bytes, random: Random, count: int) -> Iterator[bytes]:
    """Wholly other files, then `count` that a disk, a download or an editor has damaged."""
    yield from OTHER_FILES
    for number in range(count):
        start, end = np.sort(random.integers(0, len(content) + 1, 2))
        noise, bit = random.bytes(random.integers(1, 100)), 1 << random.integers(8)
        place, head = random.integers(len(content)), random.integers(min(64, len(content)))
        ways = [
            content[:place],
            content[: -random.integers(1, 9)],
            content[1 + place :],
            content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :],
            content[:head] + bytes([content[head] ^ bit]) + content[head + 1 :],
            content[:place] + noise + content[place + len(noise) :],
            content[:start] + bytes(end - start) + content[end:],
            content[:start] + content[end:],
            content[:end] + content[start:],
            content[:place] + noise + content[place:],
            content + noise,
        ]
        yield ways[number % len(ways)]


def restructure(value: Any, random: Random) -> Any:
    """A copy of lists and dicts within each other in which one thing is another, gone, twice or renamed."""
    root = copy.deepcopy(value)
    places = list(_places(root))
    parent, key = places[random.integers(len(places))]
    before, way = parent[key], random.integers(5)
    if way > 1:
        parent[key] = [before] if way == 2 else ODD_VALUES[random.integers(len(ODD_VALUES))]
    elif way == 1 and isinstance(parent, list):
        parent.insert(key, copy.deepcopy(before))
    else:
        if way == 1:
            parent[f"{key} "] = before
        del parent[key]
    return root


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def broken_text(text: str, random: Random) -> Iterator[bytes]:
    yield from damage(text.encode(), random, count=22)
    yield from (text.encode("utf-16"), text.encode("utf-8-sig"), f"{text}é".encode("latin-1"), (text + text).encode())
    yield from (text.replace(old, new).encode() for old, new in REPLACED)


def broken_json(value: Any, random: Random, structural: int) -> Iterator[bytes]:
    yield from broken_text(json.dumps(value), random)
    yield b"[" + b"9" * 5000 + b"]"  # Python refuses numbers of so many digits
    yield from (json.dumps(restructure(value, random)).encode() for _ in range(structural))


def broken_csv(text: str, random: Random, structural: int) -> Iterator[bytes]:
    yield from broken_text(text, random)
    rows = list(csv.reader(io.StringIO(text)))
    changed = [rows[1:], rows[:1]]
    for column in range(len(rows[0])):
        changed.append([row[:column] + row[column + 1 :] for row in rows])
        changed.append([[*row, row[column]] for row in rows])
    for own in (*changed, *(restructure(rows, random) for _ in range(structural))):
        file = io.StringIO(newline="")
        csv.writer(file).writerows(row if isinstance(row, list) else [row] for row in own)
        yield file.getvalue().encode("utf-8", "surrogatepass")
