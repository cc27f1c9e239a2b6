"""The chart of `eval.py --plot`: a bar for each model and type with its interval, at the size of a page's width."""

import io
import math
import os
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from datasets.errors import refusing
from datasets.files import atomic_write
from modules.evaluation.files.predictions import short_names

from .comparison import Comparison, Estimate, Row
from .scores import Report

FORMATS = (".png", ".pdf", ".svg")
# Okabe and Ito: told apart with every kind of colour blindness; the first four also in grey.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#f0e442", "#cc79a7", "#56b4e9", "#d55e00", "#000000")
_WIDTH = 7.0  # inches, the text of a page in most styles
_LINE_HEIGHT = 2.1
_LINE = 12.5  # categories that fit beside each other; …
_MARGIN = 0.2  # … a panel is that much wider than its own, …
_GAP = 0.4  # … and as far from the next
_LETTERS = 10  # of a label, on a category's width
_STYLE: dict[Any, Any] = {  # not the long list of keys that matplotlib declares
    "font.size": 7,
    "text.parse_math": False,  # names may hold dollars
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "pdf.fonttype": 42,  # fonts that printers and editors can use
    "svg.fonttype": "none",
    "svg.hashsalt": "dest",  # the same file for the same figures
}


@refusing
def check_plot(path: str | os.PathLike, num_models: int) -> Iterator[str]:
    """Raises InputError unless the name ends as a format that can be written, and there are colours enough."""
    if Path(path).suffix.lower() not in FORMATS:
        yield f"--plot {path}: the name must end in one of {', '.join(FORMATS)}"
    if num_models > len(_COLOURS):
        yield f"--plot shows at most {len(_COLOURS)} predictions, not {num_models}"


def write_plot(path: str | os.PathLike, report: Report) -> None:
    """Draws the accuracies of all prediction files. Raises InputError as `check_plot`, or if it cannot write."""
    from matplotlib import rc_context

    check_plot(path, len(report.names))
    outcomes = report.outcomes
    comparison = Comparison(report.table, [one.answered for one in outcomes], [one.correct for one in outcomes])
    groups = {title: [row for row in rows if row.questions] for title, rows in comparison.rows(report.members).items()}
    with rc_context(_STYLE):
        figure = draw({title: rows for title, rows in groups.items() if rows}, short_names(report.names))
        drawn = io.BytesIO()
        metadata = {"Date": None} if Path(path).suffix.lower() == ".svg" else None
        figure.savefig(drawn, format=Path(path).suffix[1:].lower(), dpi=300, metadata=metadata)
    with atomic_write(path, "wb") as file:
        file.write(drawn.getvalue())


def draw(groups: dict[str, list[Row]], names: list[str]) -> Figure:
    """A panel for each breakdown, side by side while they fit."""
    lines: list[list[str]] = [[]]
    widths = {title: len(rows) + _MARGIN for title, rows in groups.items()}

    def width(line: list[str]) -> float:
        return sum(widths[title] + _GAP for title in line)

    for title in groups:
        if lines[-1] and width([*lines[-1], title]) > _LINE:
            lines.append([])
        lines[-1].append(title)
    widest = max(map(width, lines))
    figure = Figure(figsize=(_WIDTH, 0.3 + _LINE_HEIGHT * len(lines)), layout="constrained")
    for line, subfigure in zip(lines, figure.subfigures(len(lines), 1, squeeze=False)[:, 0], strict=True):
        taken = [widths[title] for title in line]
        rest = [widest - width(line)] if widest - width(line) > _GAP else []  # so that all bars are equally wide
        panels = subfigure.subplots(1, len(taken + rest), sharey=True, squeeze=False, width_ratios=taken + rest)[0]
        panels[0].set_ylabel("accuracy (%)")
        for title, panel in zip(line, panels[: len(line)], strict=True):
            bars = _draw_panel(panel, title, groups[title], len(names))
        for panel in panels[len(line) :]:
            panel.set_axis_off()
    figure.legend(bars, names, loc="outside upper center", ncols=min(len(names), 4), frameon=False)
    return figure


def _draw_panel(panel: Axes, title: str, rows: list[Row], num_models: int) -> list:
    width = 0.8 / num_models
    bars = []
    for model in range(num_models):
        places = [place + (model - (num_models - 1) / 2) * width for place in range(len(rows))]
        estimates = [row.estimates[model] for row in rows]
        heights = [estimate.value or 0.0 for estimate in estimates]
        ends = np.transpose([_whiskers(estimate) for estimate in estimates])
        style = {"ecolor": "#222222", "elinewidth": 0.7, "capsize": 1.5, "capthick": 0.7}
        bars.append(panel.bar(places, heights, 0.92 * width, color=_COLOURS[model], yerr=ends, error_kw=style))
    labels = [f"{_wrap(row.label, _LETTERS)}\n({row.questions:,})" for row in rows]
    panel.set_xticks(range(len(rows)), labels, fontsize=6)
    panel.tick_params(axis="x", length=0)
    panel.set_xlim(-(1 + _MARGIN) / 2, len(rows) - (1 - _MARGIN) / 2)
    panel.set_ylim(0, 100)
    panel.set_title(_wrap(title, _LETTERS * len(rows) + 4), fontsize=7)
    panel.grid(axis="y", color="#dddddd", linewidth=0.5)
    panel.set_axisbelow(True)
    return bars


def _whiskers(estimate: Estimate) -> tuple[float, float]:
    """Lengths of an interval's parts below and above its value; not numbers, which are not drawn, without one."""
    if estimate.value is None or estimate.interval is None:
        return math.nan, math.nan
    return max(estimate.value - estimate.interval.low, 0), max(estimate.interval.high - estimate.value, 0)


def _wrap(text: str, letters: int) -> str:
    return textwrap.fill(text, letters, break_long_words=False)
