"""The tables of `eval.py` about confidence."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from modules.evaluation.files.predictions import short_names
from modules.evaluation.statistics.bootstrap import Interval

from ..confidence import Confidence
from ..scores import Report
from .layout import figure, open_table


def confidence_tables(report: Report) -> Iterator[Table]:
    """Tables of the trust in scores, and with a validation split of thresholds; none for files without scores."""
    names = short_names(report.names)
    found = [(name, one) for name, one in zip(names, report.confidences, strict=True) if one is not None]
    if found:
        yield _calibration_table(found)
    if any(one.thresholds for _, one in found):
        yield _threshold_table(found)


def explain_confidence(report: Report) -> list[str]:
    """Explains the columns."""
    lines = []
    if any(report.confidences):
        lines = [
            "  calibration error: how far confidence and accuracy are apart, on average over ten bins of questions",
            "  area: wrong answers in percent, on average over all thresholds to abstain by; the lower, the better",
        ]
    if any(one and one.thresholds for one in report.confidences):
        lines.append("  not sure below: the not_sure_below that on val leaves no more wrong among the answers")
    return lines


def _calibration_table(found: list[tuple[str, Confidence]]) -> Table:
    headings = ["mean\nconfidence", "accuracy", "calibration\nerror", "risk–coverage\narea"]
    if any(one.tempered for _, one in found):
        headings += ["temperature\nfrom val", "calibration\nerror with it"]
    table = open_table("scores", *headings)
    for name, one in found:
        own, changed = one.calibration, one.tempered
        cells = [f"{own.confidence:.2f}", f"{own.accuracy:.2f}", _shown(own.error, own.error_interval)]
        cells.append(_shown(own.area, own.area_interval))
        if changed is not None:
            cells += [f"{one.temperature:.3f}", _shown(changed.error, changed.error_interval)]
        table.add_row(Text(name), *cells)
    return table


def _threshold_table(found: list[tuple[str, Confidence]]) -> Table:
    table = open_table("wrong on val\nat most", "not sure\nbelow", "answered\nhere", "of these wrong")
    for name, one in found:
        if len(found) > 1:
            table.add_row(Text(name, style="bold"))
        for row in one.thresholds:
            if row.threshold is None:
                cells = ["-", "-", "-"]
            else:
                cells = [f"{row.threshold:.5f}", f"{row.coverage:.1f} %", _shown(row.wrong, row.interval)]
            table.add_row(f"  {row.risk} %", *cells)
        table.add_section()
    return table


def _shown(value: float | None, interval: Interval | None) -> str:
    return figure(value) + ("" if interval is None else f" ({interval.low:.1f} to {interval.high:.1f})")
