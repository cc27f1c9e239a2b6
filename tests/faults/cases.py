"""Reads broken inputs the way a run or a script reads them, each in a process of its own.

An outcome is one of

    refused        one line of error that names the file and is not too long to read
    as before      read, and nothing of what it said was lost or changed
    other content  read, and what was read is what another reader makes of the file: it now says something else
    listed         a video: the others are used, and the list at the end says what is wrong with this one

Anything else (a traceback, a crash, a hang, what no other reader makes of the file) is a defect.
"""

import contextlib
import hashlib
import io
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import InputError

LONGEST_MESSAGE = 1500  # characters
SECONDS = 60.0  # that reading one input may take
MEMORY = 3 << 30  # bytes of address space that reading it may add


@dataclass(frozen=True)
class Case:
    """One broken input.

    Attributes:
        what: was done to it.
        read: reads it as a run does; returns what was read, as text or a hash.
        reference: what another reader makes of it, in the same form; raises whatever it likes if it cannot read it.
        named: what a message about it must hold.
        path: the file.
        content: of the file, for as long as it is read; None: there is no file to write.
        before: what is read of the whole input; None: what `read` returns of it.
    """

    what: str
    read: Callable[[], str]
    reference: Callable[[], str]
    named: str
    path: Path | None = None
    content: bytes | None = None
    before: str | None = None

    @classmethod
    def of_file(cls, what: str, path: Path, content: bytes, read: Callable[[], str], reference: Callable[[], str]):
        return cls(what, read, reference, path.name, path, content)


@dataclass(frozen=True)
class Outcome:
    state: str  # as above; or "defect"
    said: str = ""  # the message, or what is wrong


def try_case(case: Case, before: str) -> Outcome:
    """Reads one broken input; `before` is what was read of the whole one."""
    if case.content is None:
        return _judge(case, before)
    whole = case.path.read_bytes()
    try:
        case.path.write_bytes(case.content)
        return _judge(case, before)
    finally:
        case.path.write_bytes(whole)


def _judge(case: Case, before: str) -> Outcome:
    state, said = in_child(case.read)
    if state == "refused":
        clear = "\n" not in said and len(said) <= LONGEST_MESSAGE and case.named in said
        return Outcome(state, said) if clear else Outcome("defect", f"no clear line: {said[:LONGEST_MESSAGE]}")
    if state != "read":
        return Outcome("defect", f"{state}: {said}")
    if said == before:
        return Outcome("as before")
    if said.startswith("listed: "):
        return Outcome("listed", said)
    try:
        expected = case.reference()
    except Exception as error:
        return Outcome("defect", f"it was read, and should not: {type(error).__name__}: {error}")
    if said != expected:
        return Outcome("defect", f"read as {said[:300]} instead of {expected[:300]}")
    return Outcome("other content")


def in_child(function: Callable[[], str], seconds: float = SECONDS) -> tuple[str, str]:
    """Calls a function in a forked process, with all that it starts ended after it.

    Returns:
        ("read", what it returned), ("refused", the message of its InputError), ("traceback", …), ("hang", …) or
        ("crash", how it died).
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer"
        child = os.fork()
        if child == 0:
            _answer(function, answer)
        deadline = time.monotonic() + seconds
        while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < deadline:
            time.sleep(0.002)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        if not ended[0]:
            os.waitpid(child, 0)
            return "hang", f"for more than {seconds:.0f} seconds"
        if not answer.exists():
            return "crash", f"exit code {os.waitstatus_to_exitcode(ended[1])}"
        return tuple(json.loads(answer.read_text()))


def _answer(function: Callable[[], str], answer: Path) -> None:
    """What the child does; it never returns."""
    try:
        os.setsid()
        os.chdir(answer.parent)
        os.environ["HF_HUB_OFFLINE"] = "1"
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            sys.stderr = nowhere
            try:
                result = "read", function()
            except InputError as error:
                result = "refused", str(error)
            except BaseException:
                result = "traceback", "".join(traceback.format_exc().splitlines(True)[-12:])
        partial = answer.with_suffix(".partial")
        partial.write_text(json.dumps(result))
        partial.rename(answer)
    finally:
        os._exit(0)


def command(main: Callable[[list[str]], int], arguments: list[str]) -> None:
    """Calls a command line. Raises InputError with what it says if it ends with an error of the user's."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        try:
            code = main(arguments)
        except SystemExit as stop:  # Sacred, which has printed a traceback
            code = stop.code
    said = errors.getvalue().strip()
    if code == 2:
        # Warnings before the error, such as of a damaged checkpoint that is passed over, are lines of their own.
        raise InputError(said.removeprefix("error: "))
    assert code == 0, f"exit code {code}: {said[-2000:]}"


def digest(value: Any) -> str:
    """The same text for the same value; short for an array."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    return json.dumps(value, sort_keys=True)
