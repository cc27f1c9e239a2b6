"""Scores equal a plain loop's, and files that do not fit the truth are named."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.errors import InputError
from datasets.sources import anetqa
from modules.evaluation.scores import evaluate

from .results import write_json, write_truth

ANSWERS = ["yes", "no", "a dish", "two"]

choices = st.lists(st.sampled_from([*ANSWERS, "x"]), max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ANSWERS), st.integers(0, 5), choices), min_size=1, max_size=20))
def test_anetqa_equals_a_naive_loop(tmp_path_factory, world):
    folder = tmp_path_factory.mktemp("anet")
    rows = [(f"q{number}", "what", answer, "v", kind) for number, (answer, kind, _) in enumerate(world)]
    predictions = [
        {"qid": row[0], "answer": best[0] if best else "none", "answer10": best}
        for row, (_, _, best) in zip(rows, world, strict=True)
    ]
    files = write_json(folder / "p.json", predictions[::-1]), write_truth(folder / "anet.csv", rows)
    report = evaluate(anetqa.SOURCE, files[:1], files[1])
    scores = report.as_data()["predictions"][0]["scores"]
    for kind, label in anetqa.QUESTION_TYPES.items():
        of_kind = [(answer, best) for answer, number, best in world if str(number) == kind]
        hits = [sum(best[:1] == [answer] for answer, best in of_kind), sum(answer in best for answer, best in of_kind)]
        shares = [pytest.approx(100 * count / len(of_kind)) if of_kind else None for count in hits]
        names = ("questions", "correct", "accuracy", "accuracy@10")
        assert scores["type"][label] == dict(zip(names, [len(of_kind), hits[0], *shares], strict=True))


A = {"qid": "a", "answer": "b"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, r'is not a list of {"qid", "answer"} records; is it a file of predictions\?'),
        ([], "has no predictions"),
        ([A, {"qid": "c", "answer": None}], "prediction 1: 'answer' is None, not text"),
        ([{**A, "answer": "\ud800"}], "a value of 'answer' is not Unicode text"),
        ([{**A, "answer10": "c"}], "prediction 0: 'answer10' is 'c', not a list of texts"),
        ([{**A, "answer10": ["c"]}, {**A, "qid": "b"}], "prediction 1: 'answer10' is None"),
        ([{**A, "qid": f"z{index}"} for index in range(9)], r"9 unknown \('z0', 'z1', 'z2', 'z3', 'z4', …\)"),
        ([A, A], r"truth: 1 duplicate \('a'\)$"),
    ],
)
def test_bad_prediction_files_are_named(tmp_path, content, message):
    truth = write_truth(tmp_path / "test.csv", [("a", "what", "red", "v", 4), ("b", "where", "sea", "v", 6)])
    with pytest.raises(InputError, match=message) as caught:
        evaluate(anetqa.SOURCE, [write_json(tmp_path / "p.json", content)], truth, allow_missing=True)
    assert str(tmp_path / "p.json") in str(caught.value)
