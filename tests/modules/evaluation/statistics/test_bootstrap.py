"""Intervals against SciPy's bootstrap."""

import numpy as np
import pytest
from scipy import stats

from modules.evaluation.statistics.bootstrap import ratio_interval, resampled_sums, sums_by_video


def interval_of(codes: np.ndarray, right: np.ndarray, **options):
    videos = codes.max() + 1
    counts = np.stack([sums_by_video(values, codes, videos) for values in (right, np.ones(len(codes)))], axis=1)
    sums = resampled_sums(counts, **options)
    return ratio_interval(sums[:, 0], sums[:, 1], videos)


def test_equals_scipy():
    """Videos of different numbers of questions and of different difficulty."""
    generator = np.random.default_rng(1)
    codes = np.repeat(np.arange(80), generator.integers(1, 20, 80))
    right = generator.random(len(codes)) < generator.random(80)[codes]
    reference = stats.bootstrap(
        (np.bincount(codes, weights=right), np.bincount(codes)),
        lambda hits, asked, axis: 100 * hits.sum(axis=axis) / asked.sum(axis=axis),
        paired=True,
        n_resamples=4000,
        method="percentile",
        rng=np.random.default_rng(3),
    ).confidence_interval
    found = interval_of(codes, right, resamples=4000)
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=0.5)
    assert interval_of(codes, right) == interval_of(codes, right) != interval_of(codes, right, seed=1)
