"""The table of `eval.py`."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .predictions import short_names
from .priors import Priors, share
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


def prior_table(report: Report, priors: Priors) -> Table:
    """A line for each category: what takes no video, what the vocabulary allows, and how far models are above."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"{report.source.name}\nwithout the video")
    for name in priors.right:
        table.add_column(name.replace(" ", "\n"), justify="right")
    for name in short_names(report.names):
        table.add_column(Text(f"{name}\nabove prior" if len(report.names) > 1 else "above\nprior"), justify="right")
    for title, categories in report.groups.items():
        table.add_row(Text(title, style="bold"))
        for category in categories:
            mask = report.members[title][category.label]
            cells = [_percent(share(right, mask)) for right in priors.right.values()]
            cells += [_points(score.above_prior) for score in category.scores]
            table.add_row(Text(f"  {category.label}"), *cells)
        table.add_section()
    return table


def explain(priors: Priors) -> list[str]:
    """What the columns of `prior_table` are, and questions that have no one answer."""
    lines = [
        "  majority, by type: the most frequent answer of training, and that to the same type of question",
        "  question only: the most frequent answer after the longest beginning of the question seen in training",
        f"  ceiling: what the {priors.vocabulary:,} answers of training can reach",
    ]
    if priors.asked_twice:
        asked = f"{priors.asked_twice:,} question(s) about a video occur twice or more, with different answers"
        lines.append(f"{asked}: {priors.always_wrong:,} cannot be right")
    return lines


def print_table(table: Table) -> None:
    """Prints a table to standard output, in full width where that is no terminal."""
    console = Console()
    if not console.is_terminal:  # a pipe or a file has no width of its own: take what the table needs
        width = console.measure(table, options=console.options.update(width=10_000)).maximum
        console = Console(width=width)
    console.print(table)


def _percent(accuracy: float | None) -> str:
    return "-" if accuracy is None else f"{accuracy:.2f}"


def _points(difference: float | None) -> str:
    return "-" if difference is None else f"{difference:+.2f}"
