"""Reads broken inputs the way a run or a script reads them, each in a process of its own."""

import contextlib
import hashlib
import io
import json
import multiprocessing
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import InputError

from .mutations import Broken

LONGEST_MESSAGE = 1500  # characters
SECONDS = 60.0  # that reading one input may take
MEMORY = 3 << 30  # bytes of address space that reading it may add
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
    """An intact file, and what is done to it.

    Attributes:
        read: reads it as a run does; returns what was read, as text or a hash.
        reference: what another reader makes of it, in the same form; raises whatever it likes if it cannot read it.
        broken: what to put in its place.
        named: what a message must hold; None: the file's name.
        may_be_unclear: about what is wrong; nothing may be read as what it is not.
    """

    path: Path
    read: Callable[[], str]
    reference: Callable[[], str]
    broken: Iterable[Broken]
    named: str | None = None
    may_be_unclear: bool = False

    def judge(self, before: str) -> tuple[str, str]:
        """The outcome and what was said; `before` is what was read of the whole file."""
        state, said = in_child(self.read)
        if state in ("refused", "traceback"):
            named = self.path.name if self.named is None else self.named
            if state == "refused" and "\n" not in said and len(said) <= LONGEST_MESSAGE and named in said:
                return "refused", said
            return "unclear" if self.may_be_unclear else "defect", f"{state}: {said[:LONGEST_MESSAGE]}"
        if state != "read":
            return "defect", f"{state}: {said}"
        if said == before or said.startswith("listed: "):
            return "as before" if said == before else "listed", said
        try:
            expected = self.reference()
        except Exception as error:
            return "defect", f"it was read, and should not: {type(error).__name__}: {error}"
        return "other content" if said == expected else "defect", f"{said[:300]} instead of {expected[:300]}"


def in_child(function: Callable[[], str]) -> tuple[str, str]:
    """Calls a function in a forked process, with all that it starts ended after it.

    Returns:
        ("read", what it returned), ("refused", the message of its InputError), ("traceback", …), or how it ended.
    """
    answer, end = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_answer, args=(function, end))
    child.start()
    end.close()
    try:
        return answer.recv() if answer.poll(SECONDS) else ("hang", f"for more than {SECONDS:.0f} seconds")
    except EOFError:
        return "crash", "no answer"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.join()
        answer.close()


def _answer(function: Callable[[], str], end: Connection) -> None:
    os.setsid()
    os.environ["HF_HUB_OFFLINE"] = "1"
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    with Path(os.devnull).open("w") as sys.stderr, contextlib.redirect_stdout(sys.stderr):
        try:
            answer = "read", function()
        except InputError as error:
            answer = "refused", str(error)
        except BaseException:
            answer = "traceback", "".join(traceback.format_exc().splitlines(True)[-12:])
        end.send(answer)


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
        raise InputError(said.removeprefix("error: "))
    assert code == 0, f"exit code {code}: {said[-2000:]}"


def digest(value: Any) -> str:
    """The same text for the same value; short for an array."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    return json.dumps(value, sort_keys=True, default=digest)
