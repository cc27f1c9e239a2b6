"""The tables of `eval.py --probes`."""

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from modules.evaluation.statistics.bootstrap import CONFIDENCE

from ..comparison import Estimate
from ..probes import ProbeScores
from ..scores import Report


def probe_tables(report: Report) -> list[Table]:
    """Tabulates each model: a line for each probe, in each category of the first breakdown and overall."""
    return [_table(report.names[model], scores) for model, scores in report.probes.items()]


def _table(name: str, scores: ProbeScores) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(Text(f"{name}\nunder probes"))
    for heading in ("accuracy", "drop", f"{CONFIDENCE} % interval", "other\nanswers"):
        table.add_column(heading, justify="right")
    for title in dict.fromkeys((next(iter(scores.plain)), "overall")):
        for place, plain in enumerate(scores.plain[title]):
            if plain.questions:
                label = "all questions" if title == "overall" else plain.label
                table.add_row(Text(label, style="bold"), _figure(plain.estimates[0]), "", "", "")
                for probe, groups in scores.probes.items():
                    table.add_row(f"  {probe}", *_cells(*groups[title][place].estimates))
        table.add_section()
    return table


def _cells(accuracy: Estimate, drop: Estimate, flipped: Estimate) -> tuple[str, ...]:
    interval = "-" if drop.interval is None else f"{drop.interval.low:+.2f} to {drop.interval.high:+.2f}"
    return _figure(accuracy), _figure(drop, "+"), interval, _figure(flipped)


def _figure(estimate: Estimate, sign: str = "") -> str:
    return "-" if estimate.value is None else f"{estimate.value:{sign}.2f}"
