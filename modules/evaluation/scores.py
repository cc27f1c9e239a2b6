"""Scores of prediction files: accuracy and accuracy@k, overall and for each category of questions."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from datasets.annotations import QASource
from datasets.errors import InputError
from datasets.question_table import QuestionTable
from modules.evaluation.files.predictions import Predictions, read_predictions, short_names
from modules.evaluation.files.records import provenance, read_record

from .conditional import Conditional, always, find_conditional, in_order
from .confidence import Confidence, find_confidences, scored_validation
from .correctness import Correctness, disagreements, judge
from .priors import CEILING, QUESTION_ONLY, Priors, find_priors
from .probes import ProbeScores, check_probes, probe_files, score_probes
from .protocol import check_protocol
from .runs import Difference, Model, RunStatistics, Spread, find_runs, spreads_by_category


@dataclass(frozen=True)
class Score:
    """Counts of one prediction file within one category. Accuracies are in percent, None where nothing was answered."""

    answered: int
    correct: int  # of these
    correct_at_k: int | None  # of these, with the true answer among the best; None when these were not predicted
    # of these, answered right by the question-only prior; None without a training split
    prior_correct: int | None = None

    @property
    def accuracy(self) -> float | None:
        return 100 * self.correct / self.answered if self.answered else None

    @property
    def accuracy_at_k(self) -> float | None:
        return 100 * self.correct_at_k / self.answered if self.answered and self.correct_at_k is not None else None

    @property
    def above_prior(self) -> float | None:
        """Points above the question-only prior, on the same questions."""
        if not self.answered or self.prior_correct is None:
            return None
        return 100 * (self.correct - self.prior_correct) / self.answered


@dataclass(frozen=True)
class Category:
    """Number of questions of the truth in a category, and a score for each prediction file."""

    label: str
    questions: int
    scores: list[Score]


@dataclass(frozen=True)
class Report:
    """Scores of prediction files on the same questions."""

    source: QASource
    table: QuestionTable  # the true answers
    names: list[str]  # of the prediction files, distinct
    outcomes: list[Correctness]  # one for each prediction file
    predictions: list[Predictions]  # what they answer
    members: dict[str, dict[str, np.ndarray]]  # title of a breakdown -> label -> bool [N], as `memberships` gives it
    groups: dict[str, list[Category]]  # title of a breakdown -> categories
    priors: Priors | None = None  # what the annotations alone give; None without a training split
    models: list[Model] = field(default_factory=list)  # whose runs the prediction files are; mostly one each
    differences: list[Difference] = field(default_factory=list)  # between any two models
    # title -> label -> a spread for each model; empty unless a model has several runs
    spreads: dict[str, dict[str, list[Spread]]] = field(default_factory=dict)
    # title -> label -> a category, see `Conditional`; these titles are in `groups`, not in `members`
    conditional: dict[str, dict[str, Conditional]] = field(default_factory=dict)
    # label -> title -> categories, every breakdown once more within each category of `source.within`
    within: dict[str, dict[str, list[Category]]] = field(default_factory=dict)
    left_out: int = 0  # questions that not all files answer, where only the others are compared
    # place of a prediction file that has them -> scores under probes; empty unless they are asked for
    probes: dict[int, ProbeScores] = field(default_factory=dict)
    # what the protocol says against some of the figures, a sentence each
    remarks: list[str] = field(default_factory=list)
    # how each prediction file was made; None where that is not known
    records: list[dict[str, Any] | None] = field(default_factory=list)
    provenance: list[str] = field(default_factory=list)  # these in short, a line each, and what differs
    # what the scores of each file are worth; None where it has none
    confidences: list[Confidence | None] = field(default_factory=list)

    @property
    def at_k(self) -> str:
        return f"accuracy@{self.source.num_answers_in_predictions}"

    def missing(self) -> list[int]:
        """Counts the questions that each prediction file leaves open."""
        return [int(np.count_nonzero(~outcome.answered)) for outcome in self.outcomes]

    def disagreements(self) -> list[int | None]:
        """Counts where a file takes another answer for the true one; None where it does not say."""
        return [disagreements(self.table, predictions) for predictions in self.predictions]

    def as_data(self) -> dict[str, Any]:
        """`{"dataset", "questions", "predictions": [{"name", "missing", "scores": {title: {label: score}}}]}`.

        A score is `{"questions", "correct", "accuracy"}`, with "accuracy@k" when k answers were predicted. With a
        training split it has "above_prior", too, and there is "priors", see `Priors.as_data`. Of several models there
        are "differences", and with several runs of one there is "models", see `Difference` and `Spread`. A
        prediction of AGQA has "within", too: {"binary": scores, "open": scores}. Under probes it has "probes", see
        `ProbeScores.as_data`. Where they are known, it has "record", and "confidence", see `Confidence`.
        """
        predictions = []
        for index, (name, missing) in enumerate(zip(self.names, self.missing(), strict=True)):
            entry = {"name": name, "missing": missing, "scores": self._scores_as_data(self.groups, index)}
            if self.records[index] is not None:
                entry["record"] = self.records[index]
            if (confidence := self.confidences[index]) is not None:
                entry["confidence"] = confidence.as_data()
            if self.within:
                entry["within"] = {label: self._scores_as_data(groups, index) for label, groups in self.within.items()}
            if index in self.probes:
                entry["probes"] = self.probes[index].as_data()
            predictions.append(entry)
        data = {"dataset": self.source.name, "questions": len(self.table), "predictions": predictions}
        if self.left_out:
            data["left_out"] = self.left_out
        data["differences"] = [difference.as_data() for difference in self.differences]
        if self.spreads:
            data["models"] = [self._model_as_data(place) for place in range(len(self.models))]
        return data if self.priors is None else {**data, "priors": self.priors.as_data(self.members)}

    def _model_as_data(self, place: int) -> dict[str, Any]:
        scores = {
            title: {label: spreads[place].as_data() for label, spreads in labels.items()}
            for title, labels in self.spreads.items()
        }
        model = self.models[place]
        return {"name": model.name, "runs": [self.names[run] for run in model.runs], "scores": scores}

    def _scores_as_data(self, groups: Mapping[str, Sequence[Category]], index: int) -> dict[str, Any]:
        return {
            title: {category.label: self._score_as_data(category.scores[index]) for category in categories}
            for title, categories in groups.items()
        }

    def _score_as_data(self, score: Score) -> dict[str, Any]:
        data: dict[str, Any] = {"questions": score.answered, "correct": score.correct, "accuracy": score.accuracy}
        if score.correct_at_k is not None:
            data[self.at_k] = score.accuracy_at_k
        if score.prior_correct is not None:
            data["above_prior"] = score.above_prior
        return data


def evaluate(
    source: QASource,
    prediction_files: Sequence[str | os.PathLike],
    truth_file: str | os.PathLike,
    allow_missing: bool = False,
    training: QuestionTable | None = None,
    only_common: bool = False,
    with_probes: bool = False,
    validation: Sequence[str | os.PathLike] = (),
) -> Report:
    """Scores prediction files. Raises InputError when a file cannot be used; see `judge`.

    Args:
        prediction_files: one or more; NAME=FILE,FILE,… for the runs of one model.
        truth_file: the split that they answer.
        allow_missing: score the questions that were answered.
        training: the training split, for the priors of open-ended questions; see `read_training`.
        only_common: compare on the questions that all files answer, whatever others there are.
        with_probes: with the answers under probes that lie beside each prediction file, see `probe_files`.
        validation: predictions of the validation split, one for each file, and at last that split.
    """
    files, given_names, models = find_runs(prediction_files)
    table, num_asked, predictions, outcomes = _judge_all(source, truth_file, files, allow_missing, only_common)
    names = [given or name for given, name in zip(given_names, _distinct_names(files), strict=True)]
    models = [Model(model.name or short_names(names)[model.runs[0]], model.runs) for model in models]
    records = [read_record(file) for file in files]
    undefined, remarks = check_protocol(source, dict(zip(names, records, strict=True)))
    members = {title: labels for title, labels in memberships(source, table).items() if title not in undefined}
    priors = None if training is None or table.has_choices else find_priors(source, table, training)
    members |= by_vocabulary(priors, predictions, training)
    conditional = find_conditional(source, table, [one.correct for one in outcomes])
    groups, within = _break_down_all(source, table, members, conditional, outcomes, priors)
    statistics = RunStatistics(table, models, [one.answered for one in outcomes], [one.correct for one in outcomes])
    chosen = {title: {label: one.chosen for label, one in labels.items()} for title, labels in conditional.items()}
    has_runs = len(models) < len(files)
    spreads = spreads_by_category(statistics, in_order(source, {**members, **chosen})) if has_runs else {}
    return Report(
        source=source,
        table=table,
        names=names,
        outcomes=outcomes,
        predictions=predictions,
        members=members,
        groups=groups,
        priors=priors,
        models=models,
        differences=statistics.differences(),
        spreads=spreads,
        conditional=conditional,
        within=within,
        left_out=num_asked - len(table),
        records=records,
        provenance=provenance(short_names(names), records, truth_file),
        confidences=find_confidences(table, predictions, scored_validation(source, validation)),
        probes=_under_probes(table, members, predictions, outcomes, allow_missing, only_common) if with_probes else {},
        remarks=remarks,
    )


def _judge_all(
    source: QASource, truth_file: str | os.PathLike, files: Sequence[Path], allow_missing: bool, only_common: bool
) -> tuple[QuestionTable, int, list[Predictions], list[Correctness]]:
    """The questions that are compared, how many there were, and the answers and outcomes of all files."""
    table = source.read_questions(Path(truth_file))
    num_asked = len(table)
    predictions = [read_predictions(file, source.num_answers_in_predictions, table) for file in files]
    outcomes = [judge(table, answered, allow_missing or only_common) for answered in predictions]
    if not only_common:
        return table, num_asked, predictions, outcomes
    common = np.logical_and.reduce([outcome.answered for outcome in outcomes])
    if not common.any():
        raise InputError(f"--only-answered-by-all: no question of {truth_file} is answered by every file")
    table = table.subset(common)
    predictions = [answered.among(table.column("qid")) for answered in predictions]
    return table, num_asked, predictions, [judge(table, answered) for answered in predictions]


def _under_probes(
    table: QuestionTable,
    members: Mapping[str, Mapping[str, np.ndarray]],
    predictions: Sequence[Predictions],
    outcomes: Sequence[Correctness],
    allow_missing: bool,
    only_common: bool,
) -> dict[int, ProbeScores]:
    check_probes([one.path for one in predictions])

    def read(path: Path) -> tuple[Predictions, np.ndarray, np.ndarray]:
        found = read_predictions(path, table=table)
        found = found.among(table.column("qid")) if only_common else found
        outcome = judge(table, found, allow_missing or only_common)
        return found, outcome.answered, outcome.correct

    return {
        place: score_probes(table, members, plain, outcome.answered, outcome.correct, read)
        for place, (plain, outcome) in enumerate(zip(predictions, outcomes, strict=True))
        if probe_files(plain.path)
    }


def memberships(source: QASource, table: QuestionTable) -> dict[str, dict[str, np.ndarray]]:
    """Title -> label -> bool [N], for every breakdown of the dataset that has categories, then overall."""
    groups = {breakdown.title: breakdown.members(table) for breakdown in source.breakdowns}
    groups["overall"] = {"all": np.ones(len(table), dtype=bool)}
    return {title: categories for title, categories in groups.items() if categories}


def by_vocabulary(
    priors: Priors | None, predictions: Sequence[Predictions], training: QuestionTable | None
) -> dict[str, dict[str, np.ndarray]]:
    """The questions whose true answer training has, and the others; none if no file has an answer that it lacks."""
    if priors is None or training is None:
        return {}
    trained_on = pc.unique(training.column("answer")).dictionary_decode()
    if all(pc.all(pc.is_in(given.answers, value_set=trained_on)).as_py() for given in predictions):
        return {}
    known = priors.right[CEILING]
    return {"true answer": {"in the training vocabulary": known, "outside it": ~known}}


def _break_down_all(
    source: QASource,
    table: QuestionTable,
    members: Mapping[str, Mapping[str, np.ndarray]],
    conditional: Mapping[str, Mapping[str, Conditional]],
    outcomes: Sequence[Correctness],
    priors: Priors | None,
) -> tuple[dict[str, list[Category]], dict[str, dict[str, list[Category]]]]:
    """`groups` and `within` of a report."""
    prior = None if priors is None else priors.right[QUESTION_ONLY]
    everything = {**always(members, len(outcomes)), **conditional}

    def score(part: np.ndarray, without: str | None = None) -> dict[str, list[Category]]:
        groups = {
            title: [_category(label, one.among(part), outcomes, prior) for label, one in labels.items()]
            for title, labels in everything.items()
            if title != without
        }
        return in_order(source, groups)

    parts = source.within.members(table) if source.within is not None else {}
    within = {label: score(part, source.within.title) for label, part in parts.items()} if source.within else {}
    return score(np.ones(len(table), dtype=bool)), within


def _category(label: str, category: Conditional, outcomes: Sequence[Correctness], prior: np.ndarray | None) -> Category:
    scores = [_score(mask, outcome, prior) for mask, outcome in zip(category.chosen, outcomes, strict=True)]
    return Category(label, int(np.count_nonzero(category.candidates)), scores)


def _score(members: np.ndarray, outcome: Correctness, prior: np.ndarray | None) -> Score:
    at_k = outcome.correct_at_k
    return Score(
        answered=int(np.count_nonzero(members & outcome.answered)),
        correct=int(np.count_nonzero(members & outcome.correct)),
        correct_at_k=None if at_k is None else int(np.count_nonzero(members & at_k)),
        prior_correct=None if prior is None else int(np.count_nonzero(members & outcome.answered & prior)),
    )


def _distinct_names(paths: list[Path]) -> list[str]:
    """File names without their endings where these differ, else the paths as given, else numbered."""
    for names in ([path.stem for path in paths], [str(path) for path in paths]):
        if len(set(names)) == len(names):
            return names
    return [f"{path} ({number})" for number, path in enumerate(paths, 1)]
