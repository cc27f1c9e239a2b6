"""Priors and ceilings against plain loops, by hand, and on the published annotations."""

from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.errors import InputError
from datasets.sources import anetqa, msrvttqa
from modules.evaluation.priors import find_priors, find_training, read_training
from modules.evaluation.question_prior import question_prior

from .results import write_answers, write_json, write_truth

WORDS = st.lists(st.sampled_from(["what", "is", "the", "dog", "", " ", "it?"]), max_size=5).map(" ".join)


def loop_prior(training, answers, questions):
    """A dictionary of all beginnings."""
    after = defaultdict(Counter)
    for text, answer in zip(training, answers, strict=True):
        words = text.split()
        for length in range(len(words) + 1):
            after[tuple(words[:length])][answer] += 1
    given_answers = []
    for text in questions:
        words = text.split()
        while tuple(words) not in after:
            words.pop()
        given_answers.append(after[tuple(words)].most_common(1)[0][0])  # of equals the one that was counted first
    return given_answers


@given(
    training=st.lists(st.tuples(WORDS, st.integers(0, 2)), min_size=1, max_size=30),
    questions=st.lists(WORDS, min_size=1, max_size=10),
)
def test_question_prior_equals_a_loop(training, questions):
    texts, answers = zip(*training, strict=True)
    found = question_prior(pa.array(texts), np.array(answers), pa.array(questions))
    assert found.tolist() == loop_prior(texts, answers, questions)


def write_split(path, *rows):
    return write_truth(path, [(f"q{number}", *row) for number, row in enumerate(rows)])


def priors_of(source, truth):
    training = read_training(source, find_training(source, truth))
    return find_priors(source, source.read_questions(truth), training)


def test_by_hand(tmp_path, score):
    train = [("is it red", "no", "a", 3), ("is it red", "yes", "a", 3), ("is it blue", "yes", "b", 3)]
    train += [(question, "cat", "b", 5) for question in ("what is it", "what is that")] + [("where", "sea", "c", 6)]
    train.insert(3, ("what is it", "dog", "b", 5))
    train_file = write_split(tmp_path / "train.csv", *train)
    truth = write_split(
        tmp_path / "test.csv",
        ("is it red", "no", "v", 3),  # majority: yes; question only: no, the earlier of two
        ("is it green", "yes", "v", 3),
        ("what is it", "cat", "w", 5),  # question only: dog, the earlier of two
        ("what now", "cat", "w", 5),
        ("how", "wood", "w", 4),  # an answer that training lacks, of a type that it lacks
        ("how many", "yes", "x", 7),
    )
    priors = priors_of(anetqa.SOURCE, truth)
    assert {name: "".join(map(str, right.astype(int))) for name, right in priors.right.items()} == {
        "majority": "010001",
        "by type": "011101",
        "question only": "110101",
        "ceiling": "111101",
    }
    assert (priors.vocabulary, priors.asked_twice, priors.always_wrong) == (5, 0, 0)
    assert find_training(anetqa.SOURCE, train_file) is None  # no prior of a split from itself
    answers = {f"q{number}": answer for number, answer in enumerate(["no", "yes", "cat", "dog", "wood"])}
    words = ["anet", write_answers(tmp_path / "p.json", answers), truth, "--allow-missing"]
    out, data = score(*words)
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
    assert rows["all"] == ["33.33", "66.67", "66.67", "83.33", "+20.00"]  # of five answers four are right, not three
    assert rows["Object"] == ["0.00", "100.00", "50.00", "100.00", "+0.00"]
    assert f"priors: from {train_file}" in out
    assert data["predictions"][0]["scores"]["overall"]["all"]["above_prior"] == pytest.approx(20)
    assert data["priors"]["accuracy"]["majority"]["type"]["Motion"] is None
    train_file.unlink()
    out, data = score(*words)
    assert data and "prior" not in out


def test_only_answers_of_the_vocabulary(tmp_path):
    """MSRVTT-QA's own training file has all answers; its vocabulary lies beside it."""
    for split, answers in (("train", ["rare", "dog", "dog", "rare", "rare"]), ("test", ["rare", "dog"])):
        records = [{"id": i, "question": "what", "answer": answer, "video_id": i} for i, answer in enumerate(answers)]
        truth = write_json(tmp_path / f"{split}_qa.json", records)
    assert priors_of(msrvttqa.SOURCE, truth).right["majority"].tolist() == [True, False]
    write_json(tmp_path / "vocab.json", {"dog": 0})
    assert all(right.tolist() == [False, True] for right in priors_of(msrvttqa.SOURCE, truth).right.values())
    write_json(tmp_path / "vocab.json", {"cow": 0})
    with pytest.raises(InputError, match=r"train_qa\.json: no answer of its questions is in .*vocab\.json"):
        priors_of(msrvttqa.SOURCE, truth)
