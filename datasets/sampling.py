"""Sampling of the frames and clip features of a video that are used."""

import numpy as np


def sample_indices(available: int, wanted: int, random: np.random.Generator | None = None) -> np.ndarray:
    """Cuts ``0..available-1`` into `wanted` spans and takes one index of each.

    Args:
        available: how many there are, at least `wanted`.
        wanted: how many to take, at least 1.
        random: draws one index a span, as in training; without it the middle one, ``(start + end - 1) // 2``.

    Returns:
        int64 [wanted], strictly increasing.
    """
    edges = np.linspace(0, available, wanted + 1).astype(np.int64)
    starts, ends = edges[:-1], edges[1:]
    if random is None:
        return (starts + ends - 1) // 2
    return random.integers(starts, ends)


def kept_range(available: int, trim: float) -> range:
    """The frames of the kept centre: a share `trim` of a video of `available` frames, at least one.

    In float64 as written, because the published models were trained so: of 10 frames a centre of 0.8 keeps 0..8.
    """
    margin = (1 - trim) / 2
    start = int(available * margin)
    return range(start, max(int(available * (1 - margin)), start + 1))


def sample_frames(
    available: int, wanted: int, trim: float = 1.0, random: np.random.Generator | None = None
) -> np.ndarray:
    """The frames to show of a video: `wanted` of its kept centre.

    A centre with fewer frames than wanted has each frame doubled in place, again until there are enough.

    Args:
        available: frames of the video, at least 1.
        wanted: frames to take, at least 1.
        trim: the share of the video that is kept, around its middle; 0 < trim <= 1.
        random: as in `sample_indices`.

    Returns:
        int64 [wanted], non-decreasing, each ``0 <= index < available``.
    """
    kept = kept_range(available, trim)
    copies = 1
    while len(kept) * copies < wanted:
        copies *= 2
    return kept.start + sample_indices(len(kept) * copies, wanted, random) // copies


def sample_features(available: int, most: int, random: np.random.Generator | None = None) -> np.ndarray:
    """The clip features to use: all of them, or `most` sampled like frames. int64 [min(available, most)]."""
    if available <= most:
        return np.arange(available)
    return sample_indices(available, most, random)
