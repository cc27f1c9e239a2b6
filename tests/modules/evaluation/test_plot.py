"""The bar chart: what is drawn, in which formats, and what is refused."""

from dataclasses import replace

import pytest

from datasets.errors import InputError
from datasets.sources import agqa, anetqa
from modules.evaluation.comparison import Comparison
from modules.evaluation.plot import draw, write_plot
from modules.evaluation.scores import Report, evaluate

from .results import make_results

BEGINNINGS = {".png": b"\x89PNG", ".pdf": b"%PDF-", ".svg": b"<?xml"}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    truth, files = make_results(tmp_path_factory.mktemp("results"))
    return evaluate(anetqa.SOURCE, files, truth)


def rows_of(report):
    outcomes = report.outcomes
    comparison = Comparison(report.table, [one.answered for one in outcomes], [one.correct for one in outcomes])
    return {title: [row for row in rows if row.questions] for title, rows in comparison.rows(report.members).items()}


def test_bars_and_intervals(report):
    rows = rows_of(report)
    figure = draw(rows, ["a", "b", "c"])
    panels = {panel.get_title(): panel for panel in figure.get_axes() if panel.get_title()}
    assert [" ".join(title.split()) for title in panels] == list(rows) == ["type", "official group", "overall"]
    bars = panels["type"].containers[1::2]
    heights = [[patch.get_height() for patch in model.patches] for model in bars]
    assert heights == [[row.estimates[model].value for row in rows["type"]] for model in range(3)]
    ends = panels["overall"].containers[0].lines[2][0].get_segments()[0][:, 1]
    interval = rows["overall"][0].estimates[0].interval
    assert ends.tolist() == pytest.approx([interval.low, interval.high])
    labels = [label.get_text() for label in panels["type"].get_xticklabels()]
    assert labels[0].startswith("Motion\n(")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "c"]


def test_many_breakdowns_take_several_lines(report):
    groups = {f"part {number}": rows_of(report)["type"] for number in range(3)}
    figure = draw(groups, ["a", "b", "c"])
    assert figure.get_size_inches()[0] == 7
    assert len(figure.subfigs) == 3


@pytest.mark.parametrize("ending", BEGINNINGS)
def test_formats(report, tmp_path, ending):
    path = tmp_path / f"plot{ending}"
    write_plot(path, report)
    data = path.read_bytes()
    assert data.startswith(BEGINNINGS[ending])
    if ending != ".pdf":  # has the time of its making
        write_plot(path, report)
        assert path.read_bytes() == data


def test_dollars_are_no_maths(report, tmp_path):
    names = [r"a_$\foo$", "b_$x$", "c$"]
    write_plot(tmp_path / "plot.svg", replace(report, names=names))
    content = (tmp_path / "plot.svg").read_text()
    assert all(name in content for name in names)


def test_refused(report, tmp_path):
    with pytest.raises(InputError, match=r"--plot .*plot.gif: the name must end in one of .png, .pdf, .svg"):
        write_plot(tmp_path / "plot.gif", report)
    many = Report(agqa.SOURCE, report.table, ["x"] * 9, [], [], {}, {})
    with pytest.raises(InputError, match="--plot shows at most 8 predictions, not 9"):
        write_plot(tmp_path / "plot.png", many)
