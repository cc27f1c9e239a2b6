"""The look that all tables share."""

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from modules.evaluation.statistics.bootstrap import Interval


def open_table(first: str, *headings: str) -> Table:
    """A table without rows: a column of names, and one of figures under each heading."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(Text(first))
    for heading in headings:
        table.add_column(Text(heading), justify="right")
    return table


def figure(value: float | None, sign: str = "") -> str:
    """A number with two decimals; with `sign` "+" also that of a positive one."""
    return "-" if value is None else f"{value:{sign}.2f}"


def span(interval: Interval | None) -> str:
    """The interval of a difference."""
    return "-" if interval is None else f"{interval.low:+.2f} to {interval.high:+.2f}"
