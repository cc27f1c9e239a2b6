"""Confidence in accuracies: the percentile bootstrap over videos.

Letters: N questions · V videos · K counts · B resamples.

Questions about one video are not independent: what makes a video hard makes all its questions hard. So whole videos are
drawn, each with all of its questions; to draw questions singly would make the intervals too narrow.
"""

from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 95  # percent
_AT_ONCE = 100  # resamples whose weights are in memory together


@dataclass(frozen=True)
class Interval:
    """The middle `CONFIDENCE` percent of the resamples."""

    low: float
    high: float


def sums_by_video(values: np.ndarray, video_codes: np.ndarray, num_videos: int) -> np.ndarray:
    """Adds up what belongs to the same video: bool or int [N] -> float64 [V]."""
    return np.bincount(video_codes, weights=values, minlength=num_videos)


def resampled_sums(counts: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Draws V of the V videos with replacement, again and again, and adds their counts up.

    All counts see the same draws, so that what is computed from several of them is paired.

    Args:
        counts: float [V, K].

    Returns:
        float64 [B, K].
    """
    num_videos, num_counts = counts.shape
    generator = np.random.default_rng(seed)
    sums = np.empty((resamples, num_counts))
    for start in range(0, resamples, _AT_ONCE):
        times_drawn = generator.multinomial(
            num_videos, np.full(num_videos, 1 / num_videos), size=min(_AT_ONCE, resamples - start)
        )
        sums[start : start + _AT_ONCE] = times_drawn @ counts
    return sums


def ratio_interval(hits: np.ndarray, totals: np.ndarray, num_videos: int) -> Interval | None:
    """The interval of 100 · hits / totals; None when fewer than two videos have a question, which tells nothing.

    Args:
        hits, totals: float [B], sums of resamples. Those without a question (a total of 0) are left out.
        num_videos: how many videos have a question.
    """
    if num_videos < 2:
        return None
    drawn = totals > 0
    return middle(100 * hits[drawn] / totals[drawn])


def middle(resamples: np.ndarray) -> Interval:
    """The middle of resamples, float [B]."""
    margin = (100 - CONFIDENCE) / 2
    low, high = np.percentile(resamples, [margin, 100 - margin])
    return Interval(float(low), float(high))


def ends(interval: Interval | None) -> list[float] | None:
    """An interval as JSON has it."""
    return None if interval is None else [interval.low, interval.high]
