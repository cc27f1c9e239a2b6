"""Accuracy of each model, and differences between any two, by category and with intervals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from datasets.question_table import QuestionTable
from modules.evaluation.statistics.bootstrap import Interval, ratio_interval, resampled_sums, sums_by_video
from modules.evaluation.statistics.permutation import sign_flip_p_value

from .conditional import Conditional, always

Members = Mapping[str, Mapping[str, np.ndarray]]  # title -> label -> bool [N]


@dataclass(frozen=True)
class Estimate:
    """A share of questions in percent, or a difference of two in points, with its interval; None where unknown."""

    value: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Row:
    """A category and what is estimated about it: one `Estimate` for each model."""

    label: str
    questions: int
    estimates: list[Estimate]


@dataclass(frozen=True)
class Flips:
    """Agreement of two models on the questions of a category that both have answered."""

    both: int  # questions that both have right
    only_first: int
    only_second: int
    neither: int
    difference: Estimate  # accuracy of the second - accuracy of the first, in points

    @property
    def questions(self) -> int:
        return self.both + self.only_first + self.only_second + self.neither


@dataclass(frozen=True)
class Pair:
    """Two models side by side."""

    first: int  # place among the models
    second: int
    overall: Flips  # on all questions
    p_value: float  # on all questions, see `sign_flip_p_value`
    groups: dict[str, dict[str, Flips]]  # title -> label -> a comparison


class Comparison:
    """Models on the same questions. All intervals come from the same resamples of videos; see `bootstrap`."""

    def __init__(self, table: QuestionTable, answered: Sequence[np.ndarray], correct: Sequence[np.ndarray]):
        """
        Args:
            answered, correct: bool [N] for each model; what is not answered is not correct.
        """
        self.video_codes, self.num_videos = table.video_codes, len(table.video_ids)
        self.answered, self.correct = list(answered), list(correct)

    def rows(self, members: Members) -> dict[str, list[Row]]:
        """Accuracy of each model in each category: title -> a row for each label."""
        return self.conditional_rows(always(members, len(self.correct)))

    def conditional_rows(self, conditional: Mapping[str, Mapping[str, Conditional]]) -> dict[str, list[Row]]:
        """Rows of categories that have other questions for each model; their `questions` are those that can count."""
        return self._rows(conditional, self.correct)

    def above(self, reference: np.ndarray, members: Members) -> dict[str, list[Row]]:
        """Accuracy - share that `reference` (bool [N]) has right of the questions that the model has answered."""
        pairs = zip(self.answered, self.correct, strict=True)
        gains = [np.where(answered, correct.astype(np.int8) - reference, 0) for answered, correct in pairs]
        return self._rows(always(members, len(gains)), gains)

    def _rows(
        self, groups: Mapping[str, Mapping[str, Conditional]], hits: Sequence[np.ndarray]
    ) -> dict[str, list[Row]]:
        ratios = (
            (np.where(mask, own, 0), mask & answered)
            for labels in groups.values()
            for category in labels.values()
            for mask, own, answered in zip(category.chosen, hits, self.answered, strict=True)
        )
        estimates = iter(self._estimate(ratios))
        return {
            title: [
                Row(label, int(np.count_nonzero(category.candidates)), [next(estimates) for _ in hits])
                for label, category in labels.items()
            ]
            for title, labels in groups.items()
        }

    def pairs(self, members: Members) -> list[Pair]:
        """Every model with every one that follows it, in the same categories."""
        return [self._pair(first, second, members) for first, second in combinations(range(len(self.correct)), 2)]

    def _pair(self, first: int, second: int, members: Members) -> Pair:
        answered = self.answered[first] & self.answered[second]
        one, other = self.correct[first], self.correct[second]
        gain = other.astype(np.int8) - one  # 1: right in the second alone; -1: in the first alone
        masks = [np.ones(len(gain), dtype=bool), *(mask for labels in members.values() for mask in labels.values())]
        differences = self._estimate((np.where(mask & answered, gain, 0), mask & answered) for mask in masks)
        flips = iter(
            Flips(
                both=int(np.count_nonzero(mask & answered & one & other)),
                only_first=int(np.count_nonzero(mask & answered & one & ~other)),
                only_second=int(np.count_nonzero(mask & answered & ~one & other)),
                neither=int(np.count_nonzero(mask & answered & ~one & ~other)),
                difference=difference,
            )
            for mask, difference in zip(masks, differences, strict=True)
        )
        overall = next(flips)
        groups = {title: {label: next(flips) for label in labels} for title, labels in members.items()}
        p_value = sign_flip_p_value(sums_by_video(np.where(answered, gain, 0), self.video_codes, self.num_videos))
        return Pair(first, second, overall, p_value, groups)

    def _estimate(self, ratios: Iterable[tuple[np.ndarray, np.ndarray]]) -> list[Estimate]:
        """100 · sum of hits / number of questions, for pairs of hits (int or bool [N]) and questions (bool [N])."""
        values, counts = [], []
        for hits, questions in ratios:
            total = int(np.count_nonzero(questions))
            values.append(100 * int(hits.sum()) / total if total else None)
            counts += [sums_by_video(kind, self.video_codes, self.num_videos) for kind in (hits, questions)]
        sums = resampled_sums(np.stack(counts, axis=1))
        return [
            Estimate(
                value, ratio_interval(sums[:, place], sums[:, place + 1], int(np.count_nonzero(counts[place + 1])))
            )
            for place, value in zip(range(0, len(counts), 2), values, strict=True)
        ]
