"""The table of `eval.py`."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .predictions import short_names
from .scores import Report


def score_table(report: Report) -> Table:
    """A line for each category; for each prediction file one column, or two with accuracy@k."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(report.source.name)
    table.add_column("questions", justify="right")
    for name, outcome in zip(short_names(report.names), report.outcomes, strict=True):
        above = f"{name}\n" if len(report.names) > 1 else ""
        table.add_column(Text(f"{above}accuracy"), justify="right")
        if outcome.correct_at_k is not None:
            table.add_column(Text(f"{above}{report.at_k}"), justify="right")
    for title, categories in report.groups.items():
        table.add_row(Text(title, style="bold"))
        for category in categories:
            cells = []
            for score in category.scores:
                cells.append(_percent(score.accuracy))
                if score.correct_at_k is not None:
                    cells.append(_percent(score.accuracy_at_k))
            count = f"{category.questions:,}" if category.questions else "no questions"
            table.add_row(Text(f"  {category.label}"), count, *cells)
        table.add_section()
    return table


def print_table(table: Table) -> None:
    """Prints a table to standard output, in full width where that is no terminal."""
    console = Console()
    if not console.is_terminal:  # a pipe or a file has no width of its own: take what the table needs
        width = console.measure(table, options=console.options.update(width=10_000)).maximum
        console = Console(width=width)
    console.print(table)


def _percent(accuracy: float | None) -> str:
    return "-" if accuracy is None else f"{accuracy:.2f}"
