"""Report of a check of the data: its table, and the list of all problems."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from datasets.errors import InputError
from datasets.files import atomic_write

TABLE_WIDTH = 120  # characters, in a pipe or a file


@dataclass
class Check:
    """One row of the table: what was looked at, and what was found."""

    name: str
    looked_at: int = 0  # how many things were
    problems: list[tuple[str, str]] = field(default_factory=list)  # (the thing, what is wrong with it)
    summary: str = ""  # what else is worth knowing
    fatal: bool = True  # whether a problem would stop a run, or make it wrong

    @property
    def failed(self) -> bool:
        return self.fatal and bool(self.problems)

    def attempt(self, thing: str, action: Callable[[], Any]) -> Any:
        """Returns the result of `action`; None, and a problem noted, if it raises InputError."""
        self.looked_at += 1
        try:
            return action()
        except InputError as error:
            self.problems.append((thing, str(error)))
            return None


def print_table(checks: Sequence[Check]) -> None:
    """Prints one row per check, with the first problem of each."""
    console = Console()
    if not console.is_terminal:  # a pipe or a file has no width of its own
        console = Console(width=TABLE_WIDTH)
    fine, noted, wrong = "+.x" if console.options.ascii_only else "✓·✗"
    table = Table(title_justify="left")
    for heading in ("", "check", "looked at", "problems"):
        table.add_column(heading, no_wrap=True)
    table.add_column("", overflow="fold")
    for check in checks:
        mark = f"[red]{wrong}" if check.failed else f"[yellow]{noted}" if check.problems else f"[green]{fine}"
        detail = check.summary
        if check.problems:
            thing, reason = check.problems[0]
            detail += ("\n" if detail else "") + f"e.g. {thing}: {reason}"
        detail = detail.encode(console.encoding, "replace").decode(console.encoding)  # before it is laid out
        table.add_row(mark, check.name, f"{check.looked_at:,}", f"{len(check.problems):,}", detail.replace("[", r"\["))
    console.print(table)


def write_problems(checks: Sequence[Check], path: Path) -> None:
    """A csv of all problems and notes."""
    with atomic_write(path) as file:
        writer = csv.writer(file)
        writer.writerow(["check", "error", "what", "problem"])
        for check in checks:
            writer.writerows((check.name, int(check.fatal), *problem) for problem in check.problems)
