"""Names of prediction files; test_scores.py reads them."""

import pytest

from modules.evaluation.files.predictions import short_names


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["anetqa_by_mean", "anetqa_by_with_trm"], ["mean", "with_trm"]),
        (["anetqa_by_x_with", "anetqa_by_x_without"], ["with", "without"]),
        (["r/a/p", "r/b/p"], ["a/p", "b/p"]),
        (["one", "two"], ["one", "two"]),
        (["a_", "a_b"], ["a_", "a_b"]),  # nothing would be left of the first
        (["anetqa_by_x"], ["anetqa_by_x"]),
    ],
)
def test_short_names(names, short):
    assert short_names(names) == short
