"""The table of `eval.py`."""

from collections.abc import Sequence
from statistics import fmean

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from modules.evaluation.files.predictions import short_names
from modules.evaluation.statistics.bootstrap import CONFIDENCE

from ..priors import Priors, share
from ..runs import Difference
from ..scores import Report


def score_table(report: Report) -> Table:
    """A line for each category; for each prediction file one column, or two with accuracy@k."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(report.source.name)
    table.add_column("questions", justify="right")
    for name, outcome in zip(short_names(report.names), report.outcomes, strict=True):
        above = f"{name}\n" if len(report.names) > 1 else ""
        table.add_column(Text(f"{above}accuracy"), justify="right")
        if outcome.correct_at_k is not None:
            table.add_column(Text(f"{above}{report.at_k}"), justify="right")
        for label in report.within:
            table.add_column(Text(f"\n{label}" if above else label), justify="right")
    for title, categories in report.groups.items():
        table.add_row(Text(title, style="bold"))
        for category in categories:
            cells = []
            for run, score in enumerate(category.scores):
                cells.append(_percent(score.accuracy))
                if score.correct_at_k is not None:
                    cells.append(_percent(score.accuracy_at_k))
                for groups in report.within.values():
                    part = next((one for one in groups.get(title, []) if one.label == category.label), None)
                    cells.append("" if part is None else _percent(part.scores[run].accuracy))
            count = f"{category.questions:,}" if category.questions else "no questions"
            table.add_row(Text(f"  {category.label}"), count, *cells)
        table.add_section()
    return table


def run_table(report: Report) -> Table:
    """A line for each category; for each model the mean over its runs, and their standard deviation."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(report.source.name)
    table.add_column("questions", justify="right")
    for model in report.models:
        runs = f"{len(model.runs)} runs" if len(model.runs) > 1 else "1 run"
        table.add_column(Text(f"{model.name}\n{runs}"), justify="right")
    for title, labels in report.spreads.items():
        table.add_row(Text(title, style="bold"))
        for category in report.groups[title]:
            cells = [
                _percent(spread.mean) + ("" if spread.sd is None else f" ± {spread.sd:.2f}")
                for spread in labels[category.label]
            ]
            count = f"{category.questions:,}" if category.questions else "no questions"
            table.add_row(Text(f"  {category.label}"), count, *cells)
        table.add_section()
    return table


def difference_table(differences: Sequence[Difference]) -> Table:
    """A line for each pair of models."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("second - first")
    for heading in ("difference", f"{CONFIDENCE} % interval", "p-value", "smallest to\nbe told"):
        table.add_column(heading, justify="right")
    for one in differences:
        interval = "-" if one.interval is None else f"{one.interval.low:+.2f} to {one.interval.high:+.2f}"
        p_value = "< 0.001" if one.p_value < 0.001 else f"{one.p_value:.3f}"
        smallest = "-" if one.detectable is None else f"{one.detectable:.2f}"
        table.add_row(Text(f"{one.second} - {one.first}"), _points(one.points), interval, p_value, smallest)
    return table


def prior_table(report: Report, priors: Priors) -> Table:
    """A line for each category: what takes no video, what the vocabulary allows, and how far models are above."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(f"{report.source.name}\nwithout the video")
    for name in priors.right:
        table.add_column(name.replace(" ", "\n"), justify="right")
    for model in report.models:
        above = f"{model.name}\nabove prior" if len(report.models) > 1 else "above\nprior"
        table.add_column(Text(above), justify="right")
    for title in report.members:
        table.add_row(Text(title, style="bold"))
        for category in report.groups[title]:
            mask = report.members[title][category.label]
            cells = [_percent(share(right, mask)) for right in priors.right.values()]
            for model in report.models:
                points = [category.scores[run].above_prior for run in model.runs]
                known = [one for one in points if one is not None]
                cells.append(_points(fmean(known) if known else None))
            table.add_row(Text(f"  {category.label}"), *cells)
        table.add_section()
    return table


def explain(priors: Priors) -> list[str]:
    """Explains the columns of `prior_table`, and questions that have no one answer."""
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
