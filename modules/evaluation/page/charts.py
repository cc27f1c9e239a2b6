"""Layout of charts, in percent of its width and height: the page stretches, its letters do not."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True)
class Tick:
    """A labelled line across a chart, at so many percent from the left or the bottom."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """A curve."""

    run: str  # whose it is
    colour: int  # number of the run's colour
    stage: str  # "training", "validation" or, where there is one only, nothing
    points: Sequence[Point]  # (step, value)
    path: str  # the same in percent from the left and the top, as SVG's ``points`` has them


@dataclass(frozen=True)
class LineChart:
    """Curves over optimizer steps. `steps` is the range from left to right, `values` the one from bottom to top."""

    title: str
    lines: list[Line]
    steps: tuple[float, float]
    values: tuple[float, float]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def line_chart(title: str, curves: Sequence[tuple[str, int, str, Sequence[Point]]], crop: bool = False) -> LineChart:
    """Lays curves out.

    Args:
        curves: run, colour, stage and points, of which there is at least one.
        crop: let the highest 3 % of the values lie outside, as the first losses of a run.
    """
    steps = 0.0, float(max(points[-1][0] for *_, points in curves))
    heights = sorted(value for *_, points in curves for _, value in points)
    low, high = heights[0], heights[math.ceil(0.97 * len(heights)) - 1] if crop else heights[-1]
    y_marks = round_numbers(low, high, 4)
    values = min(low, y_marks[0]), max(high, y_marks[-1])
    x_marks = [mark for mark in round_numbers(*steps, 4) if mark <= steps[1]]
    lines = []
    for run, colour, stage, points in curves:
        path = " ".join(f"{_place(x, *steps):.2f},{100 - _place(y, *values):.2f}" for x, y in points)
        lines.append(Line(run, colour, stage, points, path))
    return LineChart(title, lines, steps, values, _ticks(x_marks, steps), _ticks(y_marks, values))


def symmetric_range(values: Sequence[float]) -> tuple[float, list[Tick]]:
    """The smallest of a few round ranges -r to r that holds the values, and its ticks."""
    largest = max((abs(value) for value in values), default=0)
    limit = next((limit for limit in (1, 2, 5, 10, 20, 30, 40, 50, 60, 80) if largest <= limit), 100)
    marks = [-limit, -limit / 2, 0, limit / 2, limit]
    return limit, [Tick(_place(mark, -limit, limit), signed(mark, 0 if limit > 5 else 1)) for mark in marks]


def signed(value: float, decimals: int) -> str:
    """Writes a number with its sign, a real minus among them; 0 has none."""
    text = f"{value:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def round_numbers(low: float, high: float, intervals: int) -> list[float]:
    """Multiples of 1, 2 or 5 · 10^n from below `low` to above `high`, about as many intervals as asked for."""
    if not high > low:
        low, high = (low - 0.5 * abs(low), low + 0.5 * abs(low)) if low else (0.0, 1.0)
    rough = (high - low) / intervals
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [number * step for number in range(math.floor(low / step), math.ceil(high / step) + 1)]


def _ticks(marks: Sequence[float], span: tuple[float, float]) -> list[Tick]:
    return [Tick(_place(mark, *span), _short(mark)) for mark in marks]


def _place(value: float, low: float, high: float) -> float:
    return 100 * (value - low) / (high - low) if high > low else 50.0


def _short(value: float) -> str:
    """1200 -> 1,200; 20000 -> 20k; 0.30000000000000004 -> 0.3; 0.00002 -> 2e-05."""
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k" if abs(value) < 1e6 else f"{value / 1e6:g}M"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
