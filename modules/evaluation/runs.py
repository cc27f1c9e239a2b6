"""Models of one or several runs: their mean and spread, and differences between models, over runs and videos.

Letters: N questions · V videos · R runs of a model · B resamples.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import InputError
from datasets.question_table import QuestionTable
from modules.evaluation.statistics.bootstrap import RESAMPLES, Interval, ends, middle, resampled_sums, sums_by_video
from modules.evaluation.statistics.permutation import sign_flip_p_value

_TELLING = 1.960 + 0.842  # standard errors: 5 % two-sided level, 80 % power


@dataclass(frozen=True)
class Model:
    """A model and its runs, such as trainings with different seeds: their places among the prediction files."""

    name: str
    runs: list[int]


@dataclass(frozen=True)
class Spread:
    """Accuracy over the runs of a model, in percent: mean, standard deviation (of several runs) and interval."""

    mean: float | None
    sd: float | None
    interval: Interval | None

    def as_data(self) -> dict[str, Any]:
        return {"mean": self.mean, "sd": self.sd, "interval": ends(self.interval)}


@dataclass(frozen=True)
class Difference:
    """Accuracy of the second model - accuracy of the first, on the questions that all of their runs have answered."""

    first: str  # name
    second: str
    points: float | None  # of the means; None without a common question
    interval: Interval | None  # over runs and videos
    p_value: float  # see `sign_flip_p_value`; of these runs, over videos
    detectable: float | None  # the true difference that such a comparison finds in 80 % of cases, in points

    def as_data(self) -> dict[str, Any]:
        return {**self.__dict__, "interval": ends(self.interval)}


def find_runs(words: Sequence[str | os.PathLike]) -> tuple[list[Path], list[str | None], list[Model]]:
    """Files, for each its name if it was given one, and the models.

    Args:
        words: of the command line: FILE, or NAME=FILE,FILE,… for the runs of one model.
    """
    files: list[Path] = []
    names: list[str | None] = []
    models: list[Model] = []
    for word in words:
        name, equals, listed = str(word).partition("=")
        if not equals or Path(word).exists():
            models.append(Model("", [len(files)]))
            files.append(Path(word))
            names.append(None)
            continue
        runs = listed.split(",")
        if not name or not all(runs):
            raise InputError(f"{word!r} does not name a model and its files, as in base=A1.json,A2.json")
        models.append(Model(name, list(range(len(files), len(files) + len(runs)))))
        files += map(Path, runs)
        names += [name] if len(runs) == 1 else [f"{name} {number}" for number in range(1, len(runs) + 1)]
    return files, names, models


class RunStatistics:
    """Statistics of models over runs and videos. All intervals come from the same resamples of videos."""

    def __init__(
        self,
        table: QuestionTable,
        models: Sequence[Model],
        answered: Sequence[np.ndarray],
        correct: Sequence[np.ndarray],
    ):
        """
        Args:
            models: whose runs are places in the other arguments.
            answered, correct: bool [N] for each run; what is not answered is not correct.
        """
        self.video_codes, self.num_videos = table.video_codes, len(table.video_ids)
        self.models = list(models)
        self.answered, self.correct = list(answered), list(correct)

    def spreads(self, mask: np.ndarray) -> list[Spread]:
        """Spreads of each model, on the questions of a mask: bool [N], or one for each run, bool [runs, N]."""
        masks = np.broadcast_to(mask, (len(self.correct), self.correct[0].shape[0]))
        spreads = []
        for place, model in enumerate(self.models):
            found = [self._percent(run, masks[run] & self.answered[run]) for run in model.runs]
            known = [one for one in found if one is not None]
            sd = float(np.std(known, ddof=1)) if len(known) > 1 else None
            resamples = self._resamples(place, [masks[run] & self.answered[run] for run in model.runs])
            spreads.append(Spread(float(np.mean(known)) if known else None, sd, _interval(resamples)))
        return spreads

    def differences(self) -> list[Difference]:
        """Every model with every one that follows it, on all questions."""
        return [self._difference(first, second) for first, second in combinations(range(len(self.models)), 2)]

    def _difference(self, first: int, second: int) -> Difference:
        one, other = self.models[first], self.models[second]
        common = np.logical_and.reduce([self.answered[run] for run in one.runs + other.runs])
        right = [sum((self.correct[run] & common).astype(np.int64) for run in model.runs) for model in (one, other)]
        gains = len(one.runs) * right[1] - len(other.runs) * right[0]  # whole numbers, of R · R comparisons
        total = int(np.count_nonzero(common)) * len(one.runs) * len(other.runs)
        resamples = [self._resamples(place, [common] * len(self.models[place].runs)) for place in (first, second)]
        differences = None if resamples[0] is None or resamples[1] is None else resamples[1] - resamples[0]
        return Difference(
            one.name,
            other.name,
            100 * int(gains.sum()) / total if total else None,
            _interval(differences),
            sign_flip_p_value(sums_by_video(gains, self.video_codes, self.num_videos)),
            None if differences is None else _TELLING * float(np.nanstd(differences, ddof=1)),
        )

    def _percent(self, run: int, questions: np.ndarray) -> float | None:
        total = int(np.count_nonzero(questions))
        return 100 * int(np.count_nonzero(self.correct[run] & questions)) / total if total else None

    def _resamples(self, place: int, questions: Sequence[np.ndarray]) -> np.ndarray | None:
        """float [B]: accuracies of a model when videos are drawn, and runs; None when fewer than two videos count.

        R runs that are drawn from R vary less than R new ones would, by √((R - 1) / R): this is made up for.
        """
        runs = self.models[place].runs
        values = [one for run, mask in zip(runs, questions, strict=True) for one in (self.correct[run] & mask, mask)]
        counts = np.stack([sums_by_video(one, self.video_codes, self.num_videos) for one in values], axis=1)
        if (np.count_nonzero(counts[:, 1::2], axis=0) < 2).any():
            return None
        sums = resampled_sums(counts)
        with np.errstate(invalid="ignore"):  # a resample without a question; left out of percentiles
            accuracies = 100 * sums[:, ::2] / sums[:, 1::2]  # [B, R]
        if len(runs) == 1:
            return accuracies[:, 0]
        drawn = np.random.default_rng([1, place]).multinomial(
            len(runs), np.full(len(runs), 1 / len(runs)), size=RESAMPLES
        )
        mean = accuracies.mean(axis=1)
        return mean + np.sqrt(len(runs) / (len(runs) - 1)) * (drawn / len(runs) * (accuracies - mean[:, None])).sum(1)


def _interval(resamples: np.ndarray | None) -> Interval | None:
    return None if resamples is None else middle(resamples[~np.isnan(resamples)])


def spreads_by_category(
    statistics: RunStatistics, members: Mapping[str, Mapping[str, np.ndarray]]
) -> dict[str, dict[str, list[Spread]]]:
    """Title -> label -> a spread for each model."""
    return {
        title: {label: statistics.spreads(mask) for label, mask in labels.items()} for title, labels in members.items()
    }
