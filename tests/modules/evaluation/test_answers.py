"""Predictions in the order of the truth, and confusion."""

import json

import numpy as np
import pytest

from datasets.sources import anetqa
from modules.evaluation.answers import align, confuse, true_codes
from modules.evaluation.files.predictions import read_predictions

TRUTH = ["yes", "no", "yes", "red", "blue", "yes"]
GIVEN = {"q5": "no", "q4": "green", "q3": "red", "q1": "yes", "q0": "yes"}  # q2 is missing


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "test.csv"
    lines = [f"q{index},what,{answer},v,{index}" for index, answer in enumerate(TRUTH)]
    path.write_text("qid,question,answer,video_id,type\n" + "\n".join(lines) + "\n")
    return anetqa.read_questions(path)


@pytest.fixture
def answers(table, tmp_path):
    path = tmp_path / "p.json"
    records = [{"qid": qid, "answer": answer, "answer10": [answer, "x"]} for qid, answer in GIVEN.items()]
    path.write_text(json.dumps(records))
    return align(table, read_predictions(path, 10))


def test_in_the_order_of_the_truth(table, answers):
    assert [answers.texts[code] if code >= 0 else None for code in answers.codes] == [
        "yes", "yes", None, "red", "green", "no",
    ]  # fmt: skip
    assert answers.best.to_pylist() == [["yes", "x"], ["yes", "x"], None, ["red", "x"], ["green", "x"], ["no", "x"]]
    assert [answers.texts[code] for code in true_codes(table)] == TRUTH


def test_confusion(table, answers):
    confusion = confuse(true_codes(table), answers, num_labels=2, num_mistakes=2)
    assert confusion.labels == ["yes", "no"]
    np.testing.assert_array_equal(confusion.counts, [[1, 1, 0], [1, 0, 0], [0, 0, 2]])  # blue -> green: both others
    assert confusion.mistakes == [("yes", "no", 1), ("no", "yes", 1)]


def test_confusion_counts_every_answered_question(table, answers):
    confusion = confuse(true_codes(table), answers)
    assert confusion.counts.sum() == len(GIVEN)
    assert sum(count for *_, count in confusion.mistakes) == 3
    assert len(confusion.labels) == 4  # no row for an answer that is never true
