"""The sign-flip test against an enumeration of all flips."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.evaluation.statistics.permutation import sign_flip_p_value


@given(gains=st.lists(st.integers(-6, 6), min_size=1, max_size=9))
def test_equals_an_enumeration(gains):
    flips = [sum(choice) for choice in product(*((gain, -gain) for gain in gains))]
    expected = sum(abs(flip) >= abs(sum(gains)) for flip in flips) / len(flips)
    assert sign_flip_p_value(np.array(gains)) == pytest.approx(expected, rel=1e-12)


def test_questions_of_a_video_stay_together():
    """Forty questions more right, all of one video, are no evidence; of forty videos they are."""
    assert [sign_flip_p_value(np.array(gains)) for gains in ([0] * 5, [3], [40, 0, 0])] == [1, 1, 1]
    assert sign_flip_p_value(np.ones(40)) == pytest.approx(2 / 2**40)
