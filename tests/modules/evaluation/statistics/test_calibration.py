"""Calibration against plain loops, and the temperature against scipy."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from modules.evaluation.statistics.bootstrap import resampled_sums
from modules.evaluation.statistics.calibration import calibrate, equal_groups, fit_temperature, tempered


def make(num_questions, num_videos):
    random = np.random.default_rng(0)
    confidence = random.beta(2, 1.5, num_questions).round(2)  # with ties
    videos = random.integers(num_videos, size=num_questions)
    return confidence, random.random(num_questions) < confidence - 0.1, videos


def loops(confidence, correct, weights):
    """Expected calibration error and area, question by question."""
    bins, steps = equal_groups(confidence, 10), equal_groups(-confidence, 100)
    error, area = 0.0, 0.0
    for place in set(bins):
        inside = [index for index in range(len(confidence)) if bins[index] == place]
        error += abs(sum(weights[index] * (confidence[index] - correct[index]) for index in inside))
    for index, own in enumerate(steps):
        above = [other for other in range(len(steps)) if steps[other] <= own]
        answered = sum(weights[other] for other in above)
        wrong = sum(weights[other] * (1 - correct[other]) for other in above)
        area += weights[index] * (wrong / answered if answered else 0)
    return 100 * error / sum(weights), 100 * area / sum(weights)


def test_equals_plain_loops():
    assert equal_groups(np.array([0.9, 0.1, 0.5, 0.1, 0.1, 0.7]), 3).tolist() == [1, 0, 0, 0, 0, 1]
    confidence, correct, videos = make(400, 40)
    found = calibrate(confidence, correct, videos)
    assert (found.error, found.area) == pytest.approx(loops(confidence, correct, [1] * 400))
    assert (found.confidence, found.accuracy) == pytest.approx((100 * confidence.mean(), 100 * correct.mean()))
    groups = equal_groups(confidence, 10)
    of_value = dict(zip(confidence, groups, strict=True))
    assert [of_value[value] for value in confidence] == groups.tolist() and len(found.bins) == len(set(groups)) == 10
    assert sorted(of_value.values()) == [of_value[value] for value in sorted(of_value)]
    for place, one in enumerate(found.bins):
        inside = groups == place
        expected = (inside.sum(), 100 * confidence[inside].mean(), 100 * correct[inside].mean())
        assert (one.questions, one.confidence, one.accuracy) == pytest.approx(expected)
        assert one.interval.low <= one.accuracy <= one.interval.high
    for step in found.steps:
        answered = confidence >= step.threshold
        expected = (100 * answered.mean(), 100 * (1 - correct[answered].mean()))
        assert (step.coverage, step.risk) == pytest.approx(expected)
    coverages = [step.coverage for step in found.steps]
    assert coverages == sorted(coverages) and coverages[-1] == 100


def test_intervals_equal_resampled_videos():
    """Whole videos are drawn; that of the error is reflected."""
    confidence, correct, videos = make(120, 12)
    found = calibrate(confidence, correct, videos)
    drawn = resampled_sums(np.eye(12))[:300]  # how often each video is drawn, [B, V]
    values = [loops(confidence, correct, draw[videos].tolist()) for draw in drawn]
    (low, area_low), (high, area_high) = np.percentile(values, [2.5, 97.5], axis=0)
    reflected = [max(0, 2 * found.error - end) for end in (high, low)]
    assert [found.error_interval.low, found.error_interval.high] == pytest.approx(reflected, abs=1)
    assert (found.area_interval.low, found.area_interval.high) == pytest.approx((area_low, area_high), abs=1.5)
    found = calibrate(confidence, correct, np.zeros(120, int))  # one video
    assert found.error_interval is found.area_interval is found.bins[0].interval is found.steps[0].interval is None


def shares_of(temperature, num_listed, num_questions=3000, num_answers=30):
    """Answers drawn from a network's own probabilities, which are then shown at another temperature, rounded."""
    random = np.random.default_rng(0)
    logits = 2 * random.normal(size=(num_questions, num_answers))
    own, shown = (np.exp(one) / np.exp(one).sum(1, keepdims=True) for one in (logits, logits * temperature))
    truth = np.array([random.choice(num_answers, p=row) for row in own])
    order = np.argsort(-shown, axis=1)
    ranks = np.argsort(order, axis=1)[np.arange(num_questions), truth]
    return np.take_along_axis(shown, order, 1)[:, :num_listed].round(5), np.minimum(ranks, num_listed)


@pytest.mark.parametrize(("temperature", "num_listed"), [(0.5, 10), (2, 10), (2, 1), (1, 30), (3, 30)])
def test_temperature_equals_scipys(temperature, num_listed):
    shares, place = shares_of(temperature, num_listed)

    def powers_of(row, temperature):
        powers = [max(share, 0.5e-5) ** (1 / temperature) for share in [*row, 1 - sum(row)]]
        return [power / sum(powers) for power in powers]

    def loss(log_temperature):
        """Mean of -log of what the true answer gets, all that are not listed counting as one."""
        rows = zip(shares.tolist(), place.tolist(), strict=True)
        return -sum(math.log(powers_of(row, math.exp(log_temperature))[true]) for row, true in rows) / len(shares)

    expected = minimize_scalar(loss, bounds=(-2, 2), method="bounded", options={"xatol": 1e-6})
    found = fit_temperature(shares, place)
    assert math.log(found) == pytest.approx(expected.x, abs=1e-4)
    if num_listed == 30:  # all answers: the temperature is that of the network
        assert found == pytest.approx(temperature, rel=0.15)
    assert tempered(shares, found)[0] == pytest.approx(powers_of(shares[0].tolist(), found)[0])
