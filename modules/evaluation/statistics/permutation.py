"""Permutation test between two models that flips signs per video, exactly.

If the models are equally good, then what one of them is ahead on a video could as well be what the other is: all 2^V
ways to exchange the two, video by video, are equally likely. Questions about a video stay together, as they are not
independent.
"""

import numpy as np


def sign_flip_p_value(gains: np.ndarray) -> float:
    """Two-sided p-value: the share of all sign flips whose sum is at least as far from 0 as the sum of the gains.

    The distribution of the sum is built up video by video, so that no flips have to be drawn.

    Args:
        gains: whole numbers [V]; of each video, how many questions more the second model has right than the first.
    """
    gains = np.rint(gains).astype(np.int64)
    sizes = np.abs(gains[gains != 0])
    if not len(sizes):
        return 1.0
    divisor = np.gcd.reduce(sizes)
    sizes = np.sort(sizes // divisor)
    chances = np.ones(1)  # that the videos with a + have so many questions in all
    for size in sizes.tolist():
        longer = np.zeros(len(chances) + size)
        longer[: len(chances)] = chances
        longer[size:] += chances
        chances = longer / 2
    sums = 2 * np.arange(len(chances)) - sizes.sum()
    return min(1.0, float(chances[np.abs(sums) >= abs(gains.sum() // divisor)].sum()))
