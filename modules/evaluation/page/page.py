"""The page of `eval.py --report`: one HTML file that needs no network, no server and no other file.

What comes from data reaches the page in two ways only: through Jinja's escaping, and as JSON without a ``<`` in it. The
page's own policy (Content-Security-Policy) forbids every script but its own, and every connection.
"""

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from datasets.annotations import QASource
from datasets.errors import InputError
from datasets.files import atomic_write
from datasets.question_table import QuestionTable
from modules.evaluation.files.predictions import short_names
from modules.evaluation.statistics.bootstrap import CONFIDENCE, RESAMPLES, Interval, ends

from ..answers import align, confuse, true_codes
from ..comparison import Comparison, Estimate, Flips, Members, Pair, Row
from ..conditional import in_order
from ..priors import CEILING, QUESTION_ONLY, Priors, share
from ..scores import Report
from .bins import by_frequency, by_length
from .charts import LineChart, Point, Tick, line_chart, signed, symmetric_range
from .confidence import view_confidences
from .curves import MOST_POINTS, Run, read_run, run_names, thin_out
from .examples import (
    MOST_QUESTIONS,
    Videos,
    choose_evenly,
    find_videos,
    frames_per_second,
    look_at_videos,
    pack_questions,
)
from .probes import view_probes

MOST_MODELS = 8  # as many colours as the page has
OVERALL = "overall"
LENGTH = "video length"
_TEMPLATES = Path(__file__).parent
_MAIN_CURVES = ("loss", "accuracy")


@dataclass(frozen=True)
class Model:
    """A prediction file, as the page shows it."""

    name: str  # short
    full_name: str  # as `eval.py` prints it
    missing: int  # questions without a prediction
    overall: Estimate  # accuracy on all questions
    at_k: dict[str, dict[str, float | None]]  # title -> label -> accuracy@k; empty when only one answer was predicted
    within: dict[str, dict[str, dict[str, float | None]]]  # "binary" -> title -> label -> accuracy; see `Report`


@dataclass(frozen=True)
class PairView:
    """A pair of models, and the range of the chart of their differences, from -limit to limit."""

    pair: Pair
    limit: float
    ticks: list[Tick]


@dataclass(frozen=True)
class CurveGroup:
    """Training runs that share charts: (colour, name, run) of each, the two main charts, and all others."""

    members: list[tuple[int, str, Run]]
    main: list[LineChart]
    others: list[LineChart]


def check_page(
    num_models: int,
    source: QASource,
    table: QuestionTable,
    frames: str | os.PathLike | None = None,
    logs: Sequence[str | os.PathLike] = (),
) -> None:
    """Raises InputError, before anything is computed, for what `write_page` would refuse."""
    if num_models > MOST_MODELS:
        raise InputError(f"--report shows at most {MOST_MODELS} predictions beside each other, not {num_models}")
    for log in logs:
        read_run(Path(log))
    if frames is not None:
        find_videos(source, table, Path(frames))
        frames_per_second(Path(frames))


def write_page(
    path: str | os.PathLike,
    report: Report,
    frames: str | os.PathLike | None = None,
    logs: Sequence[str | os.PathLike] = (),
    training: QuestionTable | None = None,
) -> None:
    """Writes the page.

    Args:
        frames: folder that holds a folder of frames per video: for pictures, and the lengths of the videos.
        logs: folders of training runs, or their ``metrics.csv``: for learning curves.
        training: questions of the training split: for how often an answer was seen. None: how often it is true here.

    Raises:
        InputError: more models than there are colours; frames or a log that cannot be used; `path` cannot be written.
    """
    check_page(len(report.names), report.source, report.table, frames, logs)
    runs = [read_run(Path(log)) for log in logs]
    chosen = _choose(report)
    videos = Videos({}, {})
    if frames is not None:
        shown = (report.table.video(index) for index in chosen.tolist())
        videos = look_at_videos(report.source, report.table, Path(frames), shown)
    html = _render(report, videos, runs, chosen, training)
    with atomic_write(path) as file:
        file.write(html)


def _render(
    report: Report, videos: Videos, runs: Sequence[Run], chosen: np.ndarray, training: QuestionTable | None
) -> str:
    table, outcomes = report.table, report.outcomes
    breakdowns = {title: labels for title, labels in report.members.items() if title != OVERALL}
    frequency = "answer in training" if training is not None else "answer in this split"
    bins = {frequency: by_frequency(table, training if training is not None else table)}
    if videos.num_frames and videos.fps:
        bins[LENGTH] = by_length(table, videos.num_frames, videos.fps)
    comparison = Comparison(table, [one.answered for one in outcomes], [one.correct for one in outcomes])
    rows = comparison.rows({**report.members, **bins})
    conditional_rows = comparison.conditional_rows(report.conditional) if report.conditional else {}
    pairs = [PairView(pair, *symmetric_range(_ends(pair))) for pair in comparison.pairs(breakdowns)]
    curve_groups = _curve_groups(runs)
    answers = [align(table, predictions) for predictions in report.predictions]
    priors = report.priors
    data = {
        "scores": report.as_data(),
        "models": short_names(report.names),
        "intervals": _intervals_as_data({**rows, **conditional_rows}),
        "pairs": [_pair_as_data(view.pair) for view in pairs],
        "panels": [_panel_as_data(panel) for group in curve_groups for panel in group.main + group.others],
        "questions": pack_questions(table, chosen, {**breakdowns, **bins}, answers),
        "pictures": videos.pictures,
    }
    template = _environment().get_template("page.html.jinja")
    return template.render(
        source=report.source.name,
        num_questions=len(table),
        num_videos=len(table.video_ids),
        models=_models(report, rows[OVERALL][0]),
        breakdowns=in_order(report.source, {**{title: rows[title] for title in breakdowns}, **conditional_rows}),
        overall=rows[OVERALL][0],
        priors=priors,
        prior_rows=_prior_rows(report.members, priors, comparison) if priors else {},
        marks=_marks(priors, {**report.members, **bins}) if priors else {},
        probes={model: view_probes(scores) for model, scores in report.probes.items()},
        confidences=view_confidences(report.confidences),
        grouped=report.models,
        **{name: getattr(report, name) for name in ("at_k", "remarks", "provenance", "spreads", "differences")},
        frequency=frequency,
        frequency_rows=rows[frequency],
        length=LENGTH,
        length_rows=rows.get(LENGTH),
        fps=videos.fps,
        pairs=pairs,
        confusions=[confuse(true_codes(table), model) for model in answers],
        runs=[(name, _summary(run)) for name, run in zip(run_names(runs), runs, strict=True)],
        curve_groups=curve_groups,
        num_listed=len(chosen),
        num_pictures=len(videos.pictures),
        categories={title: list(labels) for title, labels in {**breakdowns, **bins}.items()},
        percent_ticks=[Tick(mark, str(mark)) for mark in (0, 25, 50, 75, 100)],
        resamples=RESAMPLES,
        confidence=CONFIDENCE,
        most_points=MOST_POINTS,
        data=Markup(_json(data)),
    )


def _choose(report: Report) -> np.ndarray:
    """The questions to list: as many of each type (of the first breakdown) and of each way to be right or wrong."""
    labels = next(iter(report.members.values()))
    types = np.argmax(np.stack(list(labels.values())), axis=0)
    ways = [outcome.answered.astype(int) + outcome.correct for outcome in report.outcomes]
    return choose_evenly([types, *ways], MOST_QUESTIONS)


def _marks(priors: Priors, members: Members) -> dict[str, dict[str, dict[str, float | None]]]:
    """Title -> label -> what the charts mark: "prior" and "ceiling", in percent."""
    marked = {"prior": priors.right[QUESTION_ONLY], "ceiling": priors.right[CEILING]}
    return {
        title: {label: {name: share(right, mask) for name, right in marked.items()} for label, mask in labels.items()}
        for title, labels in members.items()
    }


def _prior_rows(
    members: Members, priors: Priors, comparison: Comparison
) -> dict[str, list[tuple[Row, list[float | None]]]]:
    """Title -> for each category how far the models are above the prior, and percent right of every prior."""
    above = comparison.above(priors.right[QUESTION_ONLY], members)

    def with_shares(title: str) -> list[tuple[Row, list[float | None]]]:
        masks = members[title]
        return [(row, [share(right, masks[row.label]) for right in priors.right.values()]) for row in above[title]]

    return {title: with_shares(title) + with_shares(OVERALL) for title in above if title != OVERALL}


def _models(report: Report, overall: Row) -> list[Model]:
    models = []
    for place, (name, full_name) in enumerate(zip(short_names(report.names), report.names, strict=True)):
        at_k = {
            title: {category.label: category.scores[place].accuracy_at_k for category in categories}
            for title, categories in report.groups.items()
            if report.outcomes[place].correct_at_k is not None
        }
        within = {
            label: {
                title: {one.label: one.scores[place].accuracy for one in of_title} for title, of_title in groups.items()
            }
            for label, groups in report.within.items()
        }
        models.append(Model(name, full_name, report.missing()[place], overall.estimates[place], at_k, within))
    return models


# --- differences -----------------------------------------------------------------------------------------------------


def _ends(pair: Pair) -> list[float]:
    """Everything that a chart of the differences has to hold."""
    differences = [pair.overall.difference]
    differences += [flips.difference for labels in pair.groups.values() for flips in labels.values()]
    values = [estimate.value for estimate in differences if estimate.value is not None]
    return values + [end for estimate in differences for end in ends(estimate.interval) or ()]


def _intervals_as_data(rows: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    return {
        title: {row.label: [ends(estimate.interval) for estimate in row.estimates] for row in of_title}
        for title, of_title in rows.items()
    }


def _pair_as_data(pair: Pair) -> dict[str, Any]:
    groups = {
        title: {label: _flips_as_data(flips) for label, flips in labels.items()}
        for title, labels in pair.groups.items()
    }
    groups[OVERALL] = {"all": _flips_as_data(pair.overall)}
    return {"first": pair.first, "second": pair.second, "p_value": pair.p_value, "groups": groups}


def _flips_as_data(flips: Flips) -> dict[str, Any]:
    difference = {"difference": flips.difference.value, "interval": ends(flips.difference.interval)}
    return {**flips.__dict__, **difference}


# --- learning curves -------------------------------------------------------------------------------------------------


def _curve_groups(runs: Sequence[Run]) -> list[CurveGroup]:
    """Runs that validate the same quantities share charts; pre-training has charts of its own."""
    groups: dict[tuple[str, ...], CurveGroup] = {}
    for colour, (name, run) in enumerate(zip(run_names(runs), runs, strict=True)):
        validated = tuple(metric for metric in run.metrics if metric.startswith("val/"))
        groups.setdefault(validated, CurveGroup([], [], [])).members.append((colour, name, run))
    for group in groups.values():
        for panel in _panels(group.members):
            (group.main if panel.title in _MAIN_CURVES else group.others).append(panel)
    return list(groups.values())


def _panels(members: Sequence[tuple[int, str, Run]]) -> list[LineChart]:
    """A chart for each quantity; training and validation share one."""
    curves: dict[str, list[tuple[str, int, str, Sequence[Point]]]] = {}
    for colour, name, run in members:
        for metric, points in run.metrics.items():
            stage, _, quantity = metric.rpartition("/")
            stage = {"train": "training", "val": "validation"}.get(stage, "")
            if "accuracy" in quantity:
                points = [(step, 100 * value) for step, value in points]
            curves.setdefault(quantity if stage else metric, []).append((name, colour, stage, thin_out(points)))
    order = sorted(curves, key=lambda title: (*(title != main for main in _MAIN_CURVES), title))
    return [line_chart(title, curves[title], crop=title.endswith("loss")) for title in order]


def _panel_as_data(panel: LineChart) -> dict[str, Any]:
    lines = [[[step, float(f"{value:.6g}")] for step, value in line.points] for line in panel.lines]
    return {"steps": panel.steps, "lines": lines, "stages": [line.stage for line in panel.lines]}


def _summary(run: Run) -> dict[str, Any]:
    """Summarizes a run for a table: its steps, its last losses, its best validation accuracy and when that was."""
    best = max(run.metrics.get("val/accuracy", []), key=lambda point: point[1], default=None)
    last = {name: points[-1][1] for name, points in run.metrics.items()}
    return {
        "steps": max((points[-1][0] for points in run.metrics.values()), default=0),
        "training": last.get("train/loss"),
        "validation": last.get("val/loss"),
        "best": None if best is None else 100 * best[1],
        "best_step": None if best is None else best[0],
    }


# --- HTML ------------------------------------------------------------------------------------------------------------


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "span": _span, "signed": signed, "p_value": _p_value}
    script, style = ((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals |= {"script": Markup(script), "script_hash": f"sha256-{digest}", "style": Markup(style)}
    return environment


def _json(data: Mapping[str, Any]) -> str:
    """JSON that can stand in a ``<script>``: whatever it says, it cannot end it."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _percent(value: float | None) -> str:
    """Formats a number as the table of `eval.py` does."""
    return "–" if value is None else f"{value:.2f}"


def _span(interval: Interval | None, with_sign: bool = False) -> str:
    if interval is None:
        return ""
    ends = [signed(end, 1) if with_sign else f"{end:.1f}" for end in (interval.low, interval.high)]
    return f"{ends[0]} to {ends[1]}"


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
