"""Scores as a pandas table, for notebooks."""

import pandas as pd

from modules.evaluation.scores import Report


def score_frame(report: Report) -> pd.DataFrame:
    """Tabulates a report: a row for each category (breakdown, category), columns (prediction file, figure).

    The figures are `questions`, `correct`, `accuracy` in percent, the accuracy among the best k (NaN where these were
    not predicted) and the points above the question-only prior (NaN without a training split).
    """
    rows = {}
    for title, categories in report.groups.items():
        for category in categories:
            rows[title, category.label] = {
                (name, figure): value
                for name, score in zip(report.names, category.scores, strict=True)
                for figure, value in {
                    "questions": score.answered,
                    "correct": score.correct,
                    "accuracy": score.accuracy,
                    report.at_k: score.accuracy_at_k,
                    "above prior": score.above_prior,
                }.items()
            }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(rows, names=["breakdown", "category"])
    table.columns = pd.MultiIndex.from_tuples(table.columns, names=["predictions", "figure"])
    return table
