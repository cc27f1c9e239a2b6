from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datasets.sampling import kept_range, sample_features, sample_frames

sizes = st.integers(1, 400)


def test_by_hand():
    # doubled twice: 0 0 0 0 1 1 1 1, edges 0 1 3 4 6 8 at 5 frames -> cut(1.6)=1, cut(3.2)=3, cut(4.8)=4, cut(6.4)=6
    assert sample_frames(2, 5).tolist() == [0, 0, 0, 1, 1]
    assert [sample_features(number, 5).tolist() for number in (2, 5, 10)] == [[0, 1], [*range(5)], [*range(0, 10, 2)]]
    # (1 - 0.8) / 2 is a little below 0.1 in float64
    assert [kept_range(*case) for case in ((10, 0.8), (1, 0.01))] == [range(0, 9), range(0, 1)]


@given(available=sizes, wanted=sizes, trim=st.floats(0.01, 1.0), seed=st.integers(0, 99))
def test_frames_are_those_of_a_list_that_is_cut_and_doubled(available, wanted, trim, seed):
    remainder = (1 - trim) / 2
    frames = list(range(available))[int(available * remainder) : int(available * (1 - remainder))]
    if not frames:
        return
    while len(frames) < wanted:
        frames = [copy for frame in frames for copy in (frame, frame)]
    edges = np.linspace(0, len(frames), wanted + 1).astype(int)
    assert sample_frames(available, wanted, trim).tolist() == [frames[(a + b - 1) // 2] for a, b in pairwise(edges)]
    drawn = sample_frames(available, wanted, trim, np.random.default_rng(seed)).tolist()
    assert all(frame in frames[a:b] for frame, (a, b) in zip(drawn, pairwise(edges), strict=True))
