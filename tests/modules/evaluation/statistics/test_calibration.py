"""Calibration against plain loops, and the temperature against scipy."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from modules.evaluation.statistics.bootstrap import resampled_sums
from modules.evaluation.statistics.calibration import calibrate, equal_groups, fit_temperature, tempered


def make(num_questions=400, num_videos=40, seed=0, ties=True):
    random = np.random.default_rng(seed)
    confidence = random.beta(2, 1.5, num_questions)
    confidence = confidence.round(2) if ties else confidence
    videos = random.integers(num_videos, size=num_questions)
    return confidence, random.random(num_questions) < confidence - 0.1, videos


def test_equal_values_share_a_group():
    assert equal_groups(np.array([0.9, 0.1, 0.5, 0.1, 0.1, 0.7]), 3).tolist() == [1, 0, 0, 0, 0, 1]
    confidence, *_ = make()
    groups = equal_groups(confidence, 10)
    assert len(set(groups)) == 10
    for value in set(confidence):
        assert len(set(groups[confidence == value])) == 1
    assert (np.diff(groups[np.argsort(confidence)]) >= 0).all()


def loops(confidence, correct, weights=None):
    """Bins, expected calibration error and area, question by question."""
    weights = [1] * len(confidence) if weights is None else weights
    bins, steps = equal_groups(confidence, 10), equal_groups(-confidence, 100)
    error, area, total = 0.0, 0.0, sum(weights)
    for place in set(bins):
        inside = [index for index in range(len(confidence)) if bins[index] == place]
        error += abs(sum(weights[index] * (confidence[index] - correct[index]) for index in inside))
    for index, own in enumerate(steps):
        above = [other for other in range(len(steps)) if steps[other] <= own]
        answered = sum(weights[other] for other in above)
        wrong = sum(weights[other] * (1 - correct[other]) for other in above)
        area += weights[index] * (wrong / answered if answered else 0)
    return 100 * error / total, 100 * area / total


def test_equals_plain_loops():
    confidence, correct, videos = make()
    found = calibrate(confidence, correct, videos)
    assert (found.error, found.area) == pytest.approx(loops(confidence, correct))
    assert (found.confidence, found.accuracy) == pytest.approx((100 * confidence.mean(), 100 * correct.mean()))
    groups = equal_groups(confidence, 10)
    for place, one in enumerate(found.bins):
        inside = groups == place
        expected = (inside.sum(), 100 * confidence[inside].mean(), 100 * correct[inside].mean())
        assert (one.questions, one.confidence, one.accuracy) == pytest.approx(expected)
        assert one.interval.low <= one.accuracy <= one.interval.high
    for step in found.steps:
        answered = confidence >= step.threshold
        assert step.coverage == pytest.approx(100 * answered.mean())
        assert step.risk == pytest.approx(100 * (1 - correct[answered].mean()))
    assert [step.coverage for step in found.steps] == sorted(step.coverage for step in found.steps)
    assert found.steps[-1].coverage == 100


def test_intervals_equal_resampled_videos():
    """Whole videos are drawn; that of the error is reflected."""
    confidence, correct, videos = make(120, 12)
    found = calibrate(confidence, correct, videos)
    drawn = resampled_sums(np.eye(12))  # how often each video is drawn, [B, V]
    values = np.array([loops(confidence, correct, draw[videos].tolist()) for draw in drawn[:300]])
    errors, areas = values.T
    low, high = np.percentile(errors, [2.5, 97.5])
    assert found.error_interval.low == pytest.approx(max(0, 2 * found.error - high), abs=1)
    assert found.error_interval.high == pytest.approx(max(0, 2 * found.error - low), abs=1)
    low, high = np.percentile(areas, [2.5, 97.5])
    assert (found.area_interval.low, found.area_interval.high) == pytest.approx((low, high), abs=1.5)
    found = calibrate(confidence, correct, np.zeros(120, int))  # one video
    assert found.error_interval is found.area_interval is found.bins[0].interval is found.steps[0].interval is None


def shares_of(temperature, num_listed, num_questions=3000, num_answers=30, seed=0):
    """Answers drawn from a network's own probabilities, which are then shown at another temperature, rounded."""
    random = np.random.default_rng(seed)
    logits = 2 * random.normal(size=(num_questions, num_answers))
    own = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    shown = np.exp(logits * temperature) / np.exp(logits * temperature).sum(1, keepdims=True)
    truth = np.array([random.choice(num_answers, p=row) for row in own])
    order = np.argsort(-shown, axis=1)
    ranks = np.argsort(order, axis=1)[np.arange(num_questions), truth]
    listed = np.take_along_axis(shown, order, 1)[:, :num_listed].round(5)
    return listed, np.minimum(ranks, num_listed)


@pytest.mark.parametrize(("temperature", "num_listed"), [(0.5, 10), (1, 10), (2, 10), (2, 1), (1, 30), (3, 30)])
def test_temperature_equals_scipys(temperature, num_listed):
    shares, place = shares_of(temperature, num_listed)

    def loss(log_temperature):
        """Mean of -log of what the true answer gets, all that are not listed counting as one."""
        total = 0.0
        for row, true in zip(shares.tolist(), place.tolist(), strict=True):
            listed = [max(share, 0.5e-5) for share in [*row, 1 - sum(row)]]
            powers = [share ** (1 / math.exp(log_temperature)) for share in listed]
            total -= math.log(powers[true] / sum(powers))
        return total / len(shares)

    expected = minimize_scalar(loss, bounds=(-2, 2), method="bounded", options={"xatol": 1e-6})
    found = fit_temperature(shares, place)
    assert math.log(found) == pytest.approx(expected.x, abs=1e-4)
    if num_listed == 30:  # all answers: the temperature is that of the network
        assert found == pytest.approx(temperature, rel=0.15)
    row = shares[0].tolist()
    powers = [max(share, 0.5e-5) ** (1 / found) for share in [*row, 1 - sum(row)]]
    assert tempered(shares, found)[0] == pytest.approx(powers[0] / sum(powers))


@pytest.mark.parametrize(("place", "low", "high"), [(0, 0, 0.012), (1, 90, 101)])
def test_temperature_has_bounds(place, low, high):
    """All right, or all wrong: no temperature is the best."""
    assert low < fit_temperature(np.full((5, 1), 0.6), np.full(5, place)) < high
