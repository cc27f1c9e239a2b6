"""The tables of `eval.py --probes`."""

from rich.table import Table
from rich.text import Text

from modules.evaluation.statistics.bootstrap import CONFIDENCE

from ..comparison import Estimate
from ..probes import ProbeScores
from ..scores import Report
from .layout import figure, open_table, span


def probe_tables(report: Report) -> list[Table]:
    """Tabulates each model: a line for each probe, in each category of the first breakdown and overall."""
    return [_table(report.names[model], scores) for model, scores in report.probes.items()]


def _table(name: str, scores: ProbeScores) -> Table:
    table = open_table(f"{name}\nunder probes", "accuracy", "drop", f"{CONFIDENCE} % interval", "other\nanswers")
    for title in dict.fromkeys((next(iter(scores.plain)), "overall")):
        for place, plain in enumerate(scores.plain[title]):
            if plain.questions:
                label = "all questions" if title == "overall" else plain.label
                table.add_row(Text(label, style="bold"), figure(plain.estimates[0].value), "", "", "")
                for probe, groups in scores.probes.items():
                    table.add_row(f"  {probe}", *_cells(*groups[title][place].estimates))
        table.add_section()
    return table


def _cells(accuracy: Estimate, drop: Estimate, flipped: Estimate) -> tuple[str, ...]:
    return figure(accuracy.value), figure(drop.value, "+"), span(drop.interval), figure(flipped.value)
