"""The page's view of probes: each model on all questions, and by category."""

from dataclasses import dataclass

from modules.evaluation.statistics.bootstrap import ends

from ..comparison import Row
from ..probes import ProbeScores
from .charts import Tick, symmetric_range

MEANINGS = {
    "reverse_clips": "clips from last to first",
    "shuffle_clips": "clips in another order",
    "freeze_clips": "the middle clip in all places",
    "no_clips": "no clip",
    "reverse_frames": "frames from last to first",
    "shuffle_frames": "frames in another order",
    "one_frame": "the middle frame alone",
    "no_frames": "no frame",
    "swap_video": "another video",
    "question_only": "neither frame nor clip",
}


@dataclass(frozen=True)
class ProbeView:
    """A model under its probes."""

    overall: list[tuple[str, str, Row]]  # probe, its meaning, and its row of all questions
    limit: float  # of the chart of drops, which goes from -limit to limit
    ticks: list[Tick]
    # title -> for each category with questions its row as it is, and one for each probe
    tables: dict[str, list[tuple[Row, list[Row]]]]


def view_probes(scores: ProbeScores) -> ProbeView:
    overall = [(probe, MEANINGS[probe], groups["overall"][0]) for probe, groups in scores.probes.items()]
    held = [end for _, _, row in overall for end in ends(row.estimates[1].interval) or ()]
    tables = {
        title: [
            (row, by_probe)
            for row, *by_probe in zip(rows, *(groups[title] for groups in scores.probes.values()), strict=True)
            if row.questions
        ]
        for title, rows in scores.plain.items()
        if title != "overall"
    }
    return ProbeView(overall, *symmetric_range(held), tables)
