"""The table of `eval.py`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import fmean

from rich.console import Console
from rich.table import Table
from rich.text import Text

from modules.evaluation.files.predictions import short_names
from modules.evaluation.statistics.bootstrap import CONFIDENCE

from ..priors import Priors, share
from ..runs import Difference
from ..scores import Category, Report
from .layout import figure, open_table, span


def score_table(report: Report) -> Table:
    """A line for each category; for each prediction file one column, or two with accuracy@k."""
    headings = []
    for name, outcome in zip(short_names(report.names), report.outcomes, strict=True):
        above = f"{name}\n" if len(report.names) > 1 else ""
        headings.append(f"{above}accuracy")
        if outcome.correct_at_k is not None:
            headings.append(f"{above}{report.at_k}")
        headings += [f"\n{label}" if above else label for label in report.within]

    def cells(title: str, category: Category) -> Iterator[str]:
        yield _count(category)
        for run, score in enumerate(category.scores):
            yield figure(score.accuracy)
            if score.correct_at_k is not None:
                yield figure(score.accuracy_at_k)
            for groups in report.within.values():
                part = next((one for one in groups.get(title, []) if one.label == category.label), None)
                yield "" if part is None else figure(part.scores[run].accuracy)

    return _filled(open_table(report.source.name, "questions", *headings), report, report.groups, cells)


def run_table(report: Report) -> Table:
    """A line for each category; for each model the mean over its runs, and their standard deviation."""
    runs = [f"{len(model.runs)} runs" if len(model.runs) > 1 else "1 run" for model in report.models]
    headings = [f"{model.name}\n{number}" for model, number in zip(report.models, runs, strict=True)]

    def cells(title: str, category: Category) -> Iterator[str]:
        yield _count(category)
        for spread in report.spreads[title][category.label]:
            yield figure(spread.mean) + ("" if spread.sd is None else f" ± {spread.sd:.2f}")

    return _filled(open_table(report.source.name, "questions", *headings), report, report.spreads, cells)


def difference_table(differences: Sequence[Difference]) -> Table:
    """A line for each pair of models."""
    table = open_table("second - first", "difference", f"{CONFIDENCE} % interval", "p-value", "smallest to\nbe told")
    for one in differences:
        p_value = "< 0.001" if one.p_value < 0.001 else f"{one.p_value:.3f}"
        cells = (figure(one.points, "+"), span(one.interval), p_value, figure(one.detectable))
        table.add_row(Text(f"{one.second} - {one.first}"), *cells)
    return table


def prior_table(report: Report, priors: Priors) -> Table:
    """A line for each category: what takes no video, what the vocabulary allows, and how far models are above."""
    of_priors = [name.replace(" ", "\n") for name in priors.right]
    several = len(report.models) > 1
    above = [f"{model.name}\nabove prior" if several else "above\nprior" for model in report.models]

    def cells(title: str, category: Category) -> Iterator[str]:
        for right in priors.right.values():
            yield figure(share(right, report.members[title][category.label]))
        for model in report.models:
            points = [category.scores[run].above_prior for run in model.runs]
            known = [one for one in points if one is not None]
            yield figure(fmean(known) if known else None, "+")

    table = open_table(f"{report.source.name}\nwithout the video", *of_priors, *above)
    return _filled(table, report, report.members, cells)


def _filled(
    table: Table, report: Report, titles: Iterable[str], cells: Callable[[str, Category], Iterable[str]]
) -> Table:
    """The table with a line for each category of these breakdowns."""
    for title in titles:
        table.add_row(Text(title, style="bold"))
        for category in report.groups[title]:
            table.add_row(Text(f"  {category.label}"), *cells(title, category))
        table.add_section()
    return table


def _count(category: Category) -> str:
    return f"{category.questions:,}" if category.questions else "no questions"


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
