"""Predictions in the order of the truth, and confusion."""

import numpy as np

from datasets.sources import anetqa
from modules.evaluation.answers import align, confuse, true_codes
from modules.evaluation.files.predictions import read_predictions

from .results import write_json, write_truth


def test_order_of_the_truth_and_confusion(tmp_path):
    true = ["yes", "no", "yes", "red", "blue", "yes"]
    given = {"q5": "no", "q4": "green", "q3": "red", "q1": "yes", "q0": "yes"}  # q2 is missing
    truth = write_truth(tmp_path / "test.csv", [(f"q{i}", "what", answer, "v", i) for i, answer in enumerate(true)])
    records = [{"qid": qid, "answer": answer, "answer10": [answer, "x"]} for qid, answer in given.items()]
    table = anetqa.read_questions(truth)
    answers = align(table, read_predictions(write_json(tmp_path / "p.json", records), 10))
    in_order = [given.get(f"q{number}") for number in range(6)]
    assert [answers.texts[code] if code >= 0 else None for code in answers.codes] == in_order
    assert answers.best.to_pylist() == [answer and [answer, "x"] for answer in in_order]
    assert [answers.texts[code] for code in true_codes(table)] == true
    confusion = confuse(true_codes(table), answers, num_labels=2, num_mistakes=2)
    assert confusion.labels == ["yes", "no"]
    np.testing.assert_array_equal(confusion.counts, [[1, 1, 0], [1, 0, 0], [0, 0, 2]])  # blue -> green: both others
    assert confusion.mistakes == [("yes", "no", 1), ("no", "yes", 1)]
