"""Accuracy of predictions, by type of question.

    python eval.py anet result/anetqa_by_best.json data/anetqa/test.csv
    python eval.py agqa result/agqa_by_a.json result/agqa_by_b.json data/agqa/test.json --json scores.json
    python eval.py anet result/A.json result/B.json data/anetqa/test.csv --report out.html --frames data/anetqa/frames

A prediction file is a list of {"qid", "answer"} and, where ten answers are predicted, "answer10", the best first. It
answers every question of GROUNDTRUTH, the test split as preprocessed, exactly once. Answers are compared as they are.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from datasets.annotations import SOURCE_NAMES, QASource, QuestionTable, get_source
from datasets.errors import InputError, run_cli
from datasets.files import check_writable, write_json
from modules.evaluation.predictions import Predictions, read_predictions, short_names

PUBLISHED_NAMES = {"anet": "anetqa"}


@dataclass(frozen=True)
class Correctness:
    """What became of each question of the truth; arrays of bool [N].

    Attributes:
        answered: False where a prediction is missing.
        correct: the answer is the true one.
        correct_at_k: the true one is among the best answers; None when these were not predicted.
    """

    answered: np.ndarray
    correct: np.ndarray
    correct_at_k: np.ndarray | None


@dataclass(frozen=True)
class Score:
    """Counts of one prediction file within one category. Accuracies are in percent, None where nothing was answered."""

    answered: int
    correct: int
    correct_at_k: int | None

    @property
    def accuracy(self) -> float | None:
        return 100 * self.correct / self.answered if self.answered else None

    @property
    def accuracy_at_k(self) -> float | None:
        return 100 * self.correct_at_k / self.answered if self.answered and self.correct_at_k is not None else None


@dataclass(frozen=True)
class Category:
    """How many questions of the truth are in a category, and a score for each prediction file."""

    label: str
    questions: int
    scores: list[Score]


@dataclass(frozen=True)
class Report:
    """Scores of prediction files on the same questions.

    Attributes:
        source: the data set.
        table: the true answers.
        names: of the prediction files, distinct.
        outcomes: one for each prediction file.
        predictions: what they answer.
        members: title of a breakdown -> label -> bool [N], as `memberships` gives it.
        groups: title of a breakdown -> categories, as `break_down` gives it.
    """

    source: QASource
    table: QuestionTable
    names: list[str]
    outcomes: list[Correctness]
    predictions: list[Predictions]
    members: dict[str, dict[str, np.ndarray]]
    groups: dict[str, list[Category]]

    @property
    def at_k(self) -> str:
        return f"accuracy@{self.source.num_answers_in_predictions}"

    def missing(self) -> list[int]:
        """How many questions each prediction file leaves open."""
        return [int(np.count_nonzero(~outcome.answered)) for outcome in self.outcomes]

    def as_data(self) -> dict[str, Any]:
        """`{"dataset", "questions", "predictions": [{"name", "missing", "scores": {title: {label: score}}}]}`.

        A score is `{"questions", "correct", "accuracy"}`, with "accuracy@k" when k answers were predicted.
        """
        predictions = []
        for index, (name, missing) in enumerate(zip(self.names, self.missing(), strict=True)):
            scores = {
                title: {category.label: self._score_as_data(category.scores[index]) for category in categories}
                for title, categories in self.groups.items()
            }
            predictions.append({"name": name, "missing": missing, "scores": scores})
        return {"dataset": self.source.name, "questions": len(self.table), "predictions": predictions}

    def _score_as_data(self, score: Score) -> dict[str, Any]:
        data = {"questions": score.answered, "correct": score.correct, "accuracy": score.accuracy}
        return data if score.correct_at_k is None else {**data, self.at_k: score.accuracy_at_k}

    def as_table(self) -> Table:
        """A line for each category; for each prediction file one column, or two with accuracy@k."""
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column(self.source.name)
        table.add_column("questions", justify="right")
        for name, outcome in zip(short_names(self.names), self.outcomes, strict=True):
            above = f"{name}\n" if len(self.names) > 1 else ""
            table.add_column(Text(f"{above}accuracy"), justify="right")
            if outcome.correct_at_k is not None:
                table.add_column(Text(f"{above}{self.at_k}"), justify="right")
        for title, categories in self.groups.items():
            table.add_row(Text(title, style="bold"))
            for category in categories:
                cells = []
                for score in category.scores:
                    cells.append(_percent(score.accuracy))
                    if score.correct_at_k is not None:
                        cells.append(_percent(score.accuracy_at_k))
                count = f"{category.questions:,}" if category.questions else "no questions"
                table.add_row(Text(f"  {category.label}"), count, *cells)
            table.add_section()
        return table


def evaluate(
    source: QASource,
    prediction_files: Sequence[str | os.PathLike],
    truth_file: str | os.PathLike,
    allow_missing: bool = False,
) -> Report:
    """Scores prediction files. Raises InputError when a file cannot be used; see `judge`."""
    table = source.read_questions(Path(truth_file))
    predictions = [read_predictions(file, source.num_answers_in_predictions) for file in prediction_files]
    outcomes = [judge(table, answered, allow_missing) for answered in predictions]
    names = _distinct_names([Path(file) for file in prediction_files])
    members = memberships(source, table)
    return Report(source, table, names, outcomes, predictions, members, break_down(members, outcomes))


def judge(table: QuestionTable, predictions: Predictions, allow_missing: bool = False) -> Correctness:
    """Compares predictions with the truth, question by question.

    Raises:
        InputError: a question is predicted twice, is unknown or, unless `allow_missing`, is missing.
    """
    positions = pc.index_in(predictions.qids, value_set=table.column("qid").cast(pa.string()))
    unknown = pc.unique(predictions.qids.filter(pc.is_null(positions))).to_pylist()
    known = np.asarray(positions.drop_null())
    counts = np.bincount(known, minlength=len(table))
    missing = [] if allow_missing else _qids(table, counts == 0)
    problems = {"missing": missing, "duplicate": _qids(table, counts > 1), "unknown": unknown}
    found = [f"{len(qids):,} {kind} ({_some(qids)})" for kind, qids in problems.items() if qids]
    if found:
        hint = "; --allow-missing scores the others" if missing else ""
        raise InputError(f"{predictions.path}: question ids do not match the truth: {', '.join(found)}{hint}")

    truth = table.column("answer")
    true_codes = truth.indices.to_numpy()[known]  # [P]
    correct = np.zeros(len(table), dtype=bool)
    correct[known] = _codes(predictions.answers, truth.dictionary) == true_codes
    correct_at_k = None
    if predictions.best_answers is not None:
        owners = np.asarray(pc.list_parent_indices(predictions.best_answers))
        hits = _codes(pc.list_flatten(predictions.best_answers), truth.dictionary) == true_codes[owners]
        correct_at_k = np.zeros(len(table), dtype=bool)
        correct_at_k[known[owners[hits]]] = True
    return Correctness(counts > 0, correct, correct_at_k)


def memberships(source: QASource, table: QuestionTable) -> dict[str, dict[str, np.ndarray]]:
    """Title -> label -> bool [N], for every breakdown of the data set that has categories, then overall."""
    groups = {breakdown.title: breakdown.members(table) for breakdown in source.breakdowns}
    groups["overall"] = {"all": np.ones(len(table), dtype=bool)}
    return {title: categories for title, categories in groups.items() if categories}


def break_down(
    members: Mapping[str, Mapping[str, np.ndarray]], outcomes: Sequence[Correctness]
) -> dict[str, list[Category]]:
    """Scores for each of the `memberships`: title -> categories."""
    return {
        title: [
            Category(label, int(np.count_nonzero(mask)), [_score(mask, outcome) for outcome in outcomes])
            for label, mask in categories.items()
        ]
        for title, categories in members.items()
    }


def _score(members: np.ndarray, outcome: Correctness) -> Score:
    at_k = outcome.correct_at_k
    return Score(
        answered=int(np.count_nonzero(members & outcome.answered)),
        correct=int(np.count_nonzero(members & outcome.correct)),
        correct_at_k=None if at_k is None else int(np.count_nonzero(members & at_k)),
    )


def _codes(answers: pa.Array, dictionary: pa.Array) -> np.ndarray:
    """The place of each answer in the dictionary, -1 when it is not there."""
    return np.asarray(pc.fill_null(pc.index_in(answers, value_set=dictionary), -1))


def _qids(table: QuestionTable, mask: np.ndarray) -> list[str]:
    return table.column("qid").filter(pa.array(mask)).to_pylist()


def _some(qids: list[str]) -> str:
    return ", ".join(map(repr, qids[:5])) + (", …" if len(qids) > 5 else "")


def _distinct_names(paths: list[Path]) -> list[str]:
    """File names without their endings where these differ, else the paths as given, else numbered."""
    for names in ([path.stem for path in paths], [str(path) for path in paths]):
        if len(set(names)) == len(names):
            return names
    return [f"{path} ({number})" for number, path in enumerate(paths, 1)]


def _percent(accuracy: float | None) -> str:
    return "-" if accuracy is None else f"{accuracy:.2f}"


def _print(table: Table) -> None:
    console = Console()
    if not console.is_terminal:  # a pipe or a file has no width of its own: take what the table needs
        width = console.measure(table, options=console.options.update(width=10_000)).maximum
        console = Console(width=width)
    console.print(table)


@run_cli
def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help=f"{', '.join([*PUBLISHED_NAMES, *SOURCE_NAMES])}")
    parser.add_argument("predictions", nargs="+", metavar="PREDICTION", help="file(s) that run.py wrote to result/")
    parser.add_argument("groundtruth", metavar="GROUNDTRUTH", help="the test split, e.g. data/anetqa/test.csv")
    parser.add_argument("--json", metavar="FILE", help="write the same numbers to FILE, too")
    parser.add_argument("--allow-missing", action="store_true", help="score the questions that were answered")
    parser.add_argument("--plot", metavar="FILE", help="draw a bar chart with intervals: .png, .pdf or .svg")
    page = parser.add_argument_group("a page to look at, and to search for examples")
    page.add_argument("--report", metavar="FILE", help="write the page, one HTML file that stands for itself")
    page.add_argument("--frames", metavar="FOLDER", help="show the videos' frames, e.g. of data/anetqa/frames")
    page.add_argument(
        "--log", metavar="RUN", action="append", default=[], help="folder of a run, for its curves; repeatable"
    )
    page.add_argument("--train", metavar="FILE", help="the training split: count in it how often an answer was seen")
    options = parser.parse_intermixed_args(arguments)
    for name in ("frames", "log", "train"):
        if getattr(options, name) and not options.report:
            raise InputError(f"--{name} is for the page; add --report FILE, such as --report report.html")
    source = get_source(PUBLISHED_NAMES.get(options.dataset, options.dataset))

    # Whatever would be refused, before anything is computed. The imports are slow, and of no use to the table.
    for path in filter(None, (options.json, options.plot, options.report)):
        check_writable(path)
    training = None
    if options.plot:
        from modules.evaluation.plot import check_plot, write_plot

        check_plot(options.plot, len(options.predictions))
    if options.report:
        from modules.evaluation.page import check_page, write_page

        truth = source.read_questions(Path(options.groundtruth))
        check_page(len(options.predictions), source, truth, options.frames, options.log)
        training = source.read_questions(Path(options.train)) if options.train else None

    report = evaluate(source, options.predictions, options.groundtruth, options.allow_missing)
    _print(report.as_table())
    total = len(report.table)
    for name, missing in zip(report.names, report.missing(), strict=True):
        if missing:
            share = f"{missing:,} of {total:,} questions ({100 * missing / total:.1f} %)"
            print(f"{name}: {share} are missing; its accuracies are over the others")
    if options.json:
        write_json(options.json, report.as_data(), indent=1)
    if options.plot:
        write_plot(options.plot, report)
        print(f"plot: {options.plot}")
    if options.report:
        write_page(options.report, report, options.frames, options.log, training)
        print(f"report: {options.report}")


if __name__ == "__main__":
    raise SystemExit(main())
