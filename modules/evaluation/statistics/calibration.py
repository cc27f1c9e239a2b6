"""Trust in confidences: their error, what they are worth for abstaining, and a temperature.

Letters: N questions · V videos · K answers that a prediction lists · B resamples.

Confidence is the probability of the answer that is given. All groups of questions are of about as many each, by
confidence, with equal confidences together, so that no order among questions matters. All intervals are bootstraps over
videos, with the same draws.
"""

from dataclasses import dataclass

import numpy as np

from .bootstrap import Interval, middle, ratio_interval, resampled_sums

BINS = 10  # of the reliability diagram and of the calibration error
STEPS = 100  # of the risk–coverage curve
SMALLEST = 0.5e-5  # probability; what is less has been rounded to 0
_HALVINGS = 60


@dataclass(frozen=True)
class Bin:
    """Questions of about the same confidence: its mean and the accuracy, in percent, with its interval."""

    questions: int
    confidence: float
    accuracy: float
    interval: Interval | None


@dataclass(frozen=True)
class Step:
    """Answers at least as confident as `threshold`: which share of all they are, and of these the wrong, in percent."""

    threshold: float
    coverage: float
    risk: float
    interval: Interval | None


@dataclass(frozen=True)
class Calibration:
    """Confidences held against outcomes."""

    questions: int  # N
    confidence: float  # mean, in percent
    accuracy: float  # in percent
    error: float  # expected calibration error, in points: the mean of |confidence - accuracy| over `bins`, by questions
    error_interval: Interval | None
    bins: list[Bin]  # least confident first
    # under the curve of `steps`, in percent: the risk of an answer's own step, on average over all answers. A
    # confidence that tells nothing has 100 - accuracy
    area: float
    area_interval: Interval | None
    steps: list[Step]  # most confident first


def calibrate(confidence: np.ndarray, correct: np.ndarray, video_codes: np.ndarray) -> Calibration:
    """Holds confidences against outcomes.

    Args:
        confidence: float [N], 0 to 1.
        correct: bool [N].
        video_codes: int [N], the video of each question.
    """
    videos, video_codes = np.unique(video_codes, return_inverse=True)
    bins, steps = equal_groups(confidence, BINS), equal_groups(-confidence, STEPS)
    kinds = [(bins, None), (bins, correct), (bins, confidence), (steps, None), (steps, correct)]
    counts = [_by_video(groups, values, video_codes) for groups, values in kinds]
    for place in (3, 4):
        counts[place] = counts[place].cumsum(1)  # all answers down to a step
    ends = np.cumsum([part.shape[1] for part in counts])[:-1]
    totals = [part.sum(0) for part in counts]
    drawn = np.split(resampled_sums(np.concatenate(counts, axis=1)), ends, axis=1)
    with_any = [(part > 0).sum(0) for part in counts]  # videos
    error, several = float(_error(*totals[:3])), len(videos) > 1
    number, hits, sure = totals[:3]
    return Calibration(
        questions=len(confidence),
        confidence=100 * float(confidence.mean()),
        accuracy=100 * float(correct.mean()),
        error=error,
        error_interval=_reflected(error, _error(*drawn[:3])) if several else None,
        bins=[
            Bin(int(number[at]), 100 * float(sure[at] / number[at]), 100 * float(hits[at] / number[at]), interval)
            for at, interval in enumerate(_accuracies(drawn[0], drawn[1], with_any[0]))
        ],
        area=float(_area(*totals[3:])),
        area_interval=middle(_area(*drawn[3:])) if several else None,
        steps=[
            Step(
                threshold=float(confidence[steps <= at].min()),
                coverage=100 * float(totals[3][at] / len(confidence)),
                risk=100 - 100 * float(totals[4][at] / totals[3][at]),
                interval=interval and Interval(100 - interval.high, 100 - interval.low),
            )
            for at, interval in enumerate(_accuracies(drawn[3], drawn[4], with_any[3]))
        ],
    )


def equal_groups(values: np.ndarray, number: int) -> np.ndarray:
    """int [N]: the group of each value, 0 for the lowest; at most so many, of about as many values, equals together."""
    starts = np.unique(np.sort(values)[np.arange(number) * len(values) // number])
    return np.searchsorted(starts, values, side="right") - 1


def fit_temperature(shares: np.ndarray, place: np.ndarray) -> float:
    """The temperature T that makes the true answers most likely, see `tempered`.

    With 1 / T their log-likelihood is concave, so that its slope is enough to find the maximum by halving.

    Args:
        shares: float [N, K], probabilities of the answers listed.
        place: int [N], which of them is true; K: none.
    """
    logs = _logs(shares)
    true = logs[np.arange(len(logs)), place].mean()

    def slope(inverse: float) -> float:
        return true - (_softmax(inverse * logs) * logs).sum(1).mean()

    low, high = -np.log(100), np.log(100)  # of 1 / T
    for _ in range(_HALVINGS):
        half = (low + high) / 2
        low, high = (half, high) if slope(np.exp(half)) > 0 else (low, half)
    return float(np.exp(-(low + high) / 2))


def tempered(shares: np.ndarray, temperature: float) -> np.ndarray:
    """Confidences at another temperature: p^(1/T) over the sum of all, all other answers together counting as one.

    Args:
        shares: float [N, K], the answer given first.
        temperature: T; above 1: less confident.

    Returns:
        float [N].
    """
    return _softmax(_logs(shares) / temperature)[:, 0]


def _logs(shares: np.ndarray) -> np.ndarray:
    """float [N, K + 1], the last for all answers that are not listed."""
    rest = 1 - shares.sum(1, keepdims=True)
    return np.log(np.maximum(np.concatenate([shares, rest], axis=1), SMALLEST))


def _softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def _by_video(groups: np.ndarray, values: np.ndarray | None, video_codes: np.ndarray) -> np.ndarray:
    """float [V, groups]: sums of values (None: of ones) by video and group."""
    num_videos, num_groups = video_codes.max() + 1, groups.max() + 1
    sums = np.bincount(video_codes * num_groups + groups, values, num_videos * num_groups)
    return sums.reshape(num_videos, num_groups).astype(float)


def _error(questions: np.ndarray, correct: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """The calibration error of sums by bin, [..., bins]."""
    return 100 * np.abs(confidence - correct).sum(-1) / questions.sum(-1)


def _area(questions: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """The area of sums over all answers down to each step, [..., steps]."""
    own = np.diff(questions, prepend=0, axis=-1)
    risk = 1 - correct / np.maximum(questions, 1)
    return 100 * (own * risk).sum(-1) / questions[..., -1]


def _accuracies(questions: np.ndarray, correct: np.ndarray, videos: np.ndarray) -> list[Interval | None]:
    """Intervals of columns of resamples, [B, columns]; `videos` that have a question in each."""
    return [ratio_interval(correct[:, at], questions[:, at], int(videos[at])) for at in range(len(videos))]


def _reflected(value: float, resamples: np.ndarray) -> Interval:
    """The basic bootstrap: resampling adds as much noise to an error, which has no sign, as there is in it already."""
    drawn = middle(resamples)
    return Interval(max(0.0, 2 * value - drawn.high), max(0.0, 2 * value - drawn.low))
