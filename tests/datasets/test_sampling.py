"""Index sampling against values worked out by hand, and its laws for any size."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.sampling import kept_range, sample_features, sample_frames, sample_indices

sizes = st.integers(1, 400)
shares = st.floats(0.01, 1.0)


def test_middle_of_each_span():
    # edges 0 2 5 7 10 -> spans 0-1, 2-4, 5-6, 7-9
    assert sample_indices(10, 4).tolist() == [0, 3, 5, 8]
    # edges 0 1 2 4 -> spans 0, 1, 2-3
    assert sample_indices(4, 3).tolist() == [0, 1, 2]
    assert sample_indices(7, 7).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert sample_indices(9, 1).tolist() == [4]


def test_random_index_of_each_span():
    drawn = np.array([sample_indices(10, 4, np.random.default_rng(seed)) for seed in range(200)])
    for column, span in zip(drawn.T, ([0, 1], [2, 3, 4], [5, 6], [7, 8, 9]), strict=True):
        assert sorted(set(column.tolist())) == span


@pytest.mark.parametrize(
    ("available", "trim", "kept"),
    [
        (10, 1.0, range(0, 10)),
        (10, 0.8, range(0, 9)),  # (1 - 0.8) / 2 is a little below 0.1 in float64
        (20, 0.8, range(1, 18)),
        (100, 0.5, range(25, 75)),
        (1, 0.8, range(0, 1)),
        (1, 0.01, range(0, 1)),
        (3, 0.1, range(1, 2)),
    ],
)
def test_kept_centre(available, trim, kept):
    assert kept_range(available, trim) == kept


def test_few_frames_are_doubled_in_place():
    # 3 frames for 4: 0 0 1 1 2 2, edges 0 1 3 4 6 -> positions 0 1 3 4
    assert sample_frames(3, 4).tolist() == [0, 0, 1, 2]
    # doubled twice: 0 0 0 0 1 1 1 1, edges 0 1 3 4 6 8 at 5 frames -> cut(1.6)=1, cut(3.2)=3, cut(4.8)=4, cut(6.4)=6
    assert sample_frames(2, 5).tolist() == [0, 0, 0, 1, 1]
    assert sample_frames(1, 16, trim=0.8).tolist() == [0] * 16


def test_features_are_all_used_when_they_fit():
    assert sample_features(5, 5).tolist() == [0, 1, 2, 3, 4]
    assert sample_features(2, 100, np.random.default_rng(0)).tolist() == [0, 1]
    assert sample_features(6, 3).tolist() == [0, 2, 4]


@given(available=sizes, wanted=sizes, trim=shares, seed=st.none() | st.integers(0, 99))
def test_frames_are_in_order_and_inside_the_kept_centre(available, wanted, trim, seed):
    kept = kept_range(available, trim)
    assert 0 <= kept.start < kept.stop <= available
    indices = sample_frames(available, wanted, trim, None if seed is None else np.random.default_rng(seed))
    assert len(indices) == wanted
    assert (np.diff(indices) >= 0).all()
    assert kept.start <= indices[0]
    assert indices[-1] < kept.stop


@given(wanted=sizes, more=st.integers(0, 3000), seed=st.none() | st.integers(0, 99))
def test_indices_are_distinct(wanted, more, seed):
    indices = sample_indices(wanted + more, wanted, None if seed is None else np.random.default_rng(seed))
    assert (np.diff(indices) > 0).all()
    assert indices[0] >= 0
    assert indices[-1] < wanted + more


@given(available=st.integers(1, 60), wanted=st.integers(1, 60), trim=shares)
def test_same_as_a_list_that_is_doubled(available, wanted, trim):
    remainder = (1 - trim) / 2
    frames = list(range(available))[int(available * remainder) : int(available * (1 - remainder))]
    if not frames:
        return
    while len(frames) < wanted:
        frames = [copy for frame in frames for copy in (frame, frame)]
    edges = np.linspace(0, len(frames), wanted + 1).astype(int)
    naive = [frames[(a + b - 1) // 2] for a, b in pairwise(edges)]
    assert sample_frames(available, wanted, trim).tolist() == naive
