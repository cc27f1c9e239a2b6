"""Answers as a table for the terminal: a bar for each, as long as it is probable."""

from collections.abc import Mapping, Sequence

from rich.bar import Bar
from rich.table import Table
from rich.text import Text

from .predictor import Answer

NOT_SURE = "not sure"


def answer_table(answer: Answer, not_sure_below: float = 0.0) -> Table:
    """The best answers to a question, a row each; above them NOT_SURE, if the first is less probable."""
    table = Table(
        title=Text(answer.question, "bold"), title_justify="left", box=None, padding=(0, 1), show_header=False
    )
    table.add_column("answer", max_width=40)
    table.add_column("bar", width=40)
    table.add_column("probability", justify="right")
    is_sure = answer.probabilities[0] >= not_sure_below
    if not is_sure:
        table.add_row(Text(NOT_SURE, "bold"), "", f"< {100 * not_sure_below:g} %")
    for rank, (text, probability) in enumerate(zip(answer.best, answer.probabilities, strict=True)):
        is_said = is_sure and rank == 0
        style = "bold" if is_said else ""
        bar = Bar(1, 0, probability, color="green" if is_said else "cyan")
        table.add_row(Text(text, style), bar, Text(f"{100 * probability:.1f} %", style))
    return table


def times_line(seconds: Mapping[str, float]) -> str:
    """Durations of the stages, in a line: ``frames 0.3 s · questions 0.1 s · 0.4 s in all``."""
    parts: Sequence[str] = [f"{name} {_shown(value)}" for name, value in seconds.items()]
    return " · ".join([*parts, f"{_shown(sum(seconds.values()))} in all"])


def _shown(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"
