"""Round ticks, and curves within their charts."""

from hypothesis import given
from hypothesis import strategies as st

from modules.evaluation.page.charts import line_chart

numbers = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda value: value == 0 or abs(value) > 1e-6)


@given(st.lists(st.tuples(st.integers(1, 1000), numbers), min_size=1, max_size=20), st.booleans())
def test_curves_lie_in_their_chart(points, crop):
    points = sorted(dict(points).items())
    chart = line_chart("loss", [("run", 0, "", points)], crop)
    places = [tuple(map(float, pair.split(","))) for pair in chart.lines[0].path.split()]
    assert len(places) == len(points) and 2 <= len(chart.y_ticks) <= 8
    assert all(-0.01 <= x <= 100.01 and y <= 100.01 and (crop or y >= -0.01) for x, y in places)
    assert all(0 <= tick.at <= 100.01 for tick in chart.x_ticks + chart.y_ticks)
