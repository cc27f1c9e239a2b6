"""Logs of runs: what is read, what is not one, what they are called, and that their curves lie in their charts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.errors import InputError
from modules.evaluation.page.charts import line_chart
from modules.evaluation.page.curves import read_run, run_names

LOG = b"epoch,step,train/loss,val/accuracy\n0,9,1.5,\n0,19,nan,\n0,19,,0.5\n1,29,0.5,0.75\n1,3"


def write(folder, content=LOG):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.csv").write_bytes(content)
    return folder


def test_runs_and_their_names(tmp_path):
    run, other, loose = (write(tmp_path / name) for name in ("a_seed0/version_0", "a_seed0/version_1", "loose"))
    for path in (run, run / "metrics.csv"):
        found = read_run(path)
        assert found.names == ("a_seed0", "version_0")
        assert found.metrics == {"train/loss": [(10, 1.5), (30, 0.5)], "val/accuracy": [(20, 0.5), (30, 0.75)]}
    first, second, third = map(read_run, (run, other, loose))
    assert run_names([first, third]) == ["a_seed0", "loose"]
    assert run_names([first, second]) == ["a_seed0/version_0", "a_seed0/version_1"]
    assert run_names([third, third]) == ["loose (1)", "loose (2)"]


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("a_seed0", None, "holds no metrics.csv; it has the runs version_0; give the folder of a run"),
        (".", None, "holds no metrics.csv; it has the runs a_seed0/version_0; give the folder of a run"),
        ("x", b"a,b\n1,2\n", "has no column 'step'; it is not the log"),
        ("x", b"step\n\xff\n", "is not a CSV file"),
    ],
)
def test_no_log(tmp_path, path, content, message):
    write(tmp_path / "a_seed0" / "version_0")
    if content is not None:
        write(tmp_path / path, content)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read_run(tmp_path / path)
    assert str(tmp_path / path) in str(caught.value)


numbers = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda value: value == 0 or abs(value) > 1e-6)


@given(st.lists(st.tuples(st.integers(1, 1000), numbers), min_size=1, max_size=20), st.booleans())
def test_curves_lie_in_their_chart(points, crop):
    points = sorted(dict(points).items())
    chart = line_chart("loss", [("run", 0, "", points)], crop)
    places = [tuple(map(float, pair.split(","))) for pair in chart.lines[0].path.split()]
    assert len(places) == len(points) and 2 <= len(chart.y_ticks) <= 8
    assert all(-0.01 <= x <= 100.01 and y <= 100.01 and (crop or y >= -0.01) for x, y in places)
    assert all(0 <= tick.at <= 100.01 for tick in chart.x_ticks + chart.y_ticks)
