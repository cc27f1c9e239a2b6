"""Round ticks, and curves within their charts."""

from hypothesis import given
from hypothesis import strategies as st

from modules.evaluation.page.charts import line_chart, round_numbers, signed, symmetric_range

numbers = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda value: value == 0 or abs(value) > 1e-6)


@given(st.lists(st.tuples(st.integers(1, 1000), numbers), min_size=1, max_size=20), st.booleans())
def test_curves_lie_in_their_chart(points, crop):
    points = sorted(dict(points).items())
    chart = line_chart("loss", [("run", 0, "", points)], crop)
    places = [tuple(map(float, pair.split(","))) for pair in chart.lines[0].path.split()]
    assert len(places) == len(points) and 2 <= len(chart.y_ticks) <= 8
    assert all(-0.01 <= x <= 100.01 and y <= 100.01 and (crop or y >= -0.01) for x, y in places)
    assert all(0 <= tick.at <= 100.01 for tick in chart.x_ticks + chart.y_ticks)


def test_numbers_and_ranges():
    assert round_numbers(0, 100, 4) == [0, 50, 100]
    assert round_numbers(0.4, 2.1, 4) == [0, 0.5, 1, 1.5, 2, 2.5]
    points = [(step, 100.0 if step == 1 else 1.0 + step / 100) for step in range(1, 101)]
    assert line_chart("loss", [("run", 0, "", points)], crop=True).values[1] <= 3  # first losses may lie above
    assert line_chart("loss", [("run", 0, "", points)]).values[1] >= 100
    assert [signed(value, 1) for value in (1.25, -0.5, 0.0, -0.04)] == ["+1.2", "−0.5", "0.0", "0.0"]
    for values, limit in (([], 1), ([0.2, -3], 5), ([12], 20), ([-99], 100)):
        found, ticks = symmetric_range(values)
        assert (found, [tick.at for tick in ticks]) == (limit, [0, 25, 50, 75, 100]) and ticks[2].label[0] == "0"
