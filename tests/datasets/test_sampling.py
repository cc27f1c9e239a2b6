from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datasets.sampling import sample_frames

sizes = st.integers(1, 400)


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
