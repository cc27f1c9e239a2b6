"""The page's view of confidence: what a model's reliability diagram and its risk–coverage curve are drawn from."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..confidence import Confidence


@dataclass(frozen=True)
class ConfidenceView:
    """A model's confidence, and its risk over coverage as SVG's ``points``, in percent from the left and the top."""

    found: Confidence
    path: str  # the curve
    band: str  # the outline of its intervals; empty without any


def view_confidences(confidences: Sequence[Confidence | None]) -> dict[int, ConfidenceView]:
    """Place of a model with scores -> its view."""
    return {place: _view(one) for place, one in enumerate(confidences) if one is not None}


def _view(found: Confidence) -> ConfidenceView:
    steps = found.calibration.steps
    known = [(step.coverage, step.interval) for step in steps if step.interval is not None]
    outline = [(x, interval.high) for x, interval in known] + [(x, interval.low) for x, interval in reversed(known)]
    return ConfidenceView(found, _points([(step.coverage, step.risk) for step in steps]), _points(outline))


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.2f},{100 - y:.2f}" for x, y in points)
