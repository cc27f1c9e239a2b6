"""The bar chart: what is drawn, and in which formats."""

import pytest

from modules.evaluation.comparison import Comparison
from modules.evaluation.plot import draw


def test_bars_and_intervals(report):
    outcomes = report.outcomes
    comparison = Comparison(report.table, [one.answered for one in outcomes], [one.correct for one in outcomes])
    rows = {title: [row for row in of if row.questions] for title, of in comparison.rows(report.members).items()}
    figure = draw(rows, ["a", "b", "c"])
    panels = {panel.get_title(): panel for panel in figure.get_axes() if panel.get_title()}
    assert [" ".join(title.split()) for title in panels] == list(rows) == ["type", "official group", "overall"]
    heights = [[patch.get_height() for patch in model.patches] for model in panels["type"].containers[1::2]]
    assert heights == [[row.estimates[model].value for row in rows["type"]] for model in range(3)]
    ends = panels["overall"].containers[0].lines[2][0].get_segments()[0][:, 1]
    interval = rows["overall"][0].estimates[0].interval
    assert ends.tolist() == pytest.approx([interval.low, interval.high])
    assert panels["type"].get_xticklabels()[0].get_text().startswith("Motion\n(")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "c"]
    figure = draw({f"part {number}": rows["type"] for number in range(3)}, ["a", "b", "c"])  # takes several lines
    assert (figure.get_size_inches()[0], len(figure.subfigs)) == (7, 3)
