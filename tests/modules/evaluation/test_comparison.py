"""Rows and pairs against counting by hand."""

import numpy as np
import pytest
from scipy.stats import permutation_test

from modules.evaluation.comparison import Comparison


@pytest.fixture(scope="module")
def comparison(report):
    return Comparison(report.table, [one.answered for one in report.outcomes], [one.correct for one in report.outcomes])


def test_pairs(report, comparison):
    pairs = comparison.pairs(report.members)
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 1), (0, 2), (1, 2)]
    for pair in pairs:
        one, other = (report.outcomes[model].correct for model in (pair.first, pair.second))
        flips, mask = pair.groups["type"]["Color"], report.members["type"]["Color"]
        counts = [sum(mask & a & b) for a in (one, ~one) for b in (other, ~other)]
        assert [flips.both, flips.only_first, flips.only_second, flips.neither] == counts
        assert flips.questions == mask.sum()
        assert flips.difference.value == pytest.approx(100 * (other[mask].mean() - one[mask].mean()))
        assert pair.groups["overall"]["all"] == pair.overall
        gains = np.bincount(report.table.video_codes, weights=other.astype(float) - one)
        flips_of = permutation_test((gains,), np.sum, permutation_type="samples", n_resamples=20_000, rng=1)
        assert pair.p_value == pytest.approx(flips_of.pvalue, abs=0.015)


def test_intervals_are_paired_and_of_questions_that_both_answered(report):
    """A model against one that differs in a single question: far narrower than the accuracies' own intervals."""
    correct = report.outcomes[0].correct
    other, answered = correct.copy(), np.ones_like(correct)
    other[0] = not other[0]
    comparison = Comparison(report.table, [answered, answered], [correct, other])
    interval = comparison.pairs({})[0].overall.difference.interval
    accuracy = comparison.rows({"": {"all": answered}})[""][0].estimates[0].interval
    assert interval.high - interval.low < 0.2 * (accuracy.high - accuracy.low)
    some = np.arange(len(correct)) >= 10
    for answers in ([some, answered], [answered, some]):
        comparison = Comparison(report.table, answers, [correct & one for one in answers])
        flips = comparison.pairs({})[0].overall
        assert (flips.questions, flips.difference.value) == (len(correct) - 10, 0)
