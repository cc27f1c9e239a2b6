"""Questions by how often their answer occurs, and by the length of their video."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from datasets.question_table import QuestionTable

_NUM_LENGTHS = 5
_LONG = 120  # seconds, from where on times are given in minutes
_FREQUENCIES = (0, 1, 2, 4, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1 << 62)  # bins begin here


def by_frequency(table: QuestionTable, reference: QuestionTable) -> dict[str, np.ndarray]:
    """Questions by how many questions of `reference` have the same answer: label -> bool [N], for bins with any."""
    found = reference.column("answer").value_counts()
    times = dict(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True))
    answers = table.column("answer")
    frequency = np.array([times.get(answer, 0) for answer in answers.dictionary.to_pylist()])[answers.indices]
    bins = {
        _frequency_label(low, high): (low <= frequency) & (frequency < high) for low, high in pairwise(_FREQUENCIES)
    }
    return {label: mask for label, mask in bins.items() if mask.any()}


def by_length(table: QuestionTable, num_frames: Mapping[str, int], fps: float) -> dict[str, np.ndarray]:
    """Questions by the length of their video, in bins of about as many videos: label -> bool [N].

    Args:
        num_frames: video id -> frames. Videos that are not there are in no bin.
    """
    seconds = np.array([round(num_frames.get(video_id, -1) / fps) for video_id in table.video_ids])
    is_known = np.array([video_id in num_frames for video_id in table.video_ids])
    known = np.sort(seconds[is_known])
    starts = np.unique(known[np.arange(_NUM_LENGTHS) * len(known) // _NUM_LENGTHS]) if len(known) else known
    place = np.where(is_known, np.searchsorted(starts, seconds, side="right"), 0)
    bins = {}
    for number in range(1, len(starts) + 1):
        here = seconds[place == number]
        bins[_length_label(here.min(), here.max())] = (place == number)[table.video_codes]
    return bins


def _frequency_label(low: int, high: int) -> str:
    if high - low == 1:
        return {0: "never", 1: "once"}[low]
    return f"{low:,} to {high - 1:,} times" if high < _FREQUENCIES[-1] else f"{low:,} times or more"


def _length_label(low: int, high: int) -> str:
    if low == high:
        return _time(low)
    unit = " s" if high < _LONG else ""
    return f"{_time(low).removesuffix(unit)} to {_time(high)}"


def _time(seconds: int) -> str:
    return f"{seconds} s" if seconds < _LONG else f"{seconds // 60}:{seconds % 60:02} min"
