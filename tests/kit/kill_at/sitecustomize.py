"""Kills its own process at a given file operation. Python imports this by itself where PYTHONPATH names the folder.

What is on the disk changes with file operations alone: to be killed before any one of them is all that a kill can do.
How fast the machine is, and how busy, has no part in it.
"""

import os
import signal
import sys

_OPERATIONS = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate"}


def kill_at(number: int, folder: str, group: bool) -> None:
    """From now on, the `number`-th operation in `folder` is where this process is killed, or all of its group."""
    left = iter(range(number - 1))

    def count(event: str, arguments: tuple) -> None:
        paths = [os.fspath(path) for path in arguments[:2] if isinstance(path, str | os.PathLike)]
        if event in _OPERATIONS and any(path.startswith(folder) for path in paths) and next(left, None) is None:
            os.kill(0 if group else os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def variables(number: int, folder: os.PathLike, group: bool) -> dict[str, str]:
    """Of the environment of a process that shall do so from its start."""
    return {"PYTHONPATH": os.path.dirname(__file__), "KILL_AT": f"{number} {int(group)} {folder}"}  # noqa: PTH120


if "KILL_AT" in os.environ:
    _number, _group, _folder = os.environ["KILL_AT"].split(" ", 2)
    kill_at(int(_number), _folder, _group == "1")
