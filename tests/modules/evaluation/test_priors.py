"""Priors and ceilings against plain loops, by hand, and on the published annotations."""

import csv
import json
import os
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eval as evaluation
from datasets.errors import InputError
from datasets.sources import agqa, anetqa, msrvttqa
from modules.evaluation.priors import find_priors, find_training, read_training, share
from modules.evaluation.question_prior import question_prior
from preproc.preproc_anetqa import preprocess

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


def write_anet(path, rows):
    """Rows of (question, answer, video, type)."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["qid", "question", "answer", "video_id", "type"])
        writer.writerows([f"{path.stem}{index}", *row] for index, row in enumerate(rows))
    return path


@given(
    training=st.lists(st.tuples(WORDS, st.integers(0, 2)), min_size=1, max_size=30),
    questions=st.lists(WORDS, min_size=1, max_size=10),
)
def test_question_prior_equals_a_loop(training, questions):
    texts, answers = [text for text, _ in training], [answer for _, answer in training]
    found = question_prior(pa.array(texts), np.array(answers), pa.array(questions))
    assert found.tolist() == loop_prior(texts, answers, questions)


TRAIN = [
    ("is it red", "no", "a", 3),
    ("is it red", "yes", "a", 3),
    ("is it blue", "yes", "b", 3),
    ("what is it", "dog", "b", 5),
    ("what is it", "cat", "b", 5),
    ("what is that", "cat", "c", 5),
    ("where", "sea", "c", 6),
]
TEST = [
    ("is it red", "no", "v", 3),  # majority: yes; question only: no, the earlier of two
    ("is it green", "yes", "v", 3),
    ("what is it", "cat", "w", 5),  # question only: dog, the earlier of two
    ("what now", "cat", "w", 5),
    ("how", "wood", "w", 4),  # an answer that training lacks, of a type that it lacks
    ("how many", "yes", "x", 7),
]


@pytest.fixture
def data(tmp_path):
    write_anet(tmp_path / "train.csv", TRAIN)
    return write_anet(tmp_path / "test.csv", TEST)


def priors_of(source, truth):
    training = read_training(source, find_training(source, truth))
    return find_priors(source, source.read_questions(truth), training)


def test_by_hand(data):
    priors = priors_of(anetqa.SOURCE, data)
    assert {name: right.tolist() for name, right in priors.right.items()} == {
        "majority": [False, True, False, False, False, True],
        "by type": [False, True, True, True, False, True],
        "question only": [True, True, False, True, False, True],
        "ceiling": [True, True, True, True, False, True],
    }
    assert priors.vocabulary == 5
    assert (priors.asked_twice, priors.always_wrong) == (0, 0)


def test_asked_twice(tmp_path):
    rows = [("who", answer, video, 8) for answer, video in zip("aabbacaaa", "vvvwwwxxy", strict=True)]
    write_anet(tmp_path / "train.csv", rows)
    priors = priors_of(anetqa.SOURCE, write_anet(tmp_path / "test.csv", rows))
    assert priors.asked_twice == 2  # v: a a b, w: b a c; x: the same answer twice
    assert priors.always_wrong == 1 + 2


def test_a_type_of_several_categories(tmp_path):
    """AGQA's questions list several; together they are the type."""

    def record(index, categories, answer):
        texts = {"question": "q", "video_id": "v", "semantic": "object", "structural": "query", "ans_type": "open"}
        return f"q{index}", {**texts, "global": categories, "answer": answer}

    both, one = ["exists", "obj-rel"], ["exists"]
    train = [record(0, both, "yes"), record(1, one, "no"), record(2, one, "no"), record(3, both, "yes")]
    (tmp_path / "train.json").write_text(json.dumps(dict(train)))
    test = [record(0, both, "yes"), record(1, one, "no"), record(2, both[::-1], "yes"), record(3, ["new"], "yes")]
    (tmp_path / "test.json").write_text(json.dumps(dict(test)))
    priors = priors_of(agqa.SOURCE, tmp_path / "test.json")
    assert priors.right["majority"].tolist() == [True, False, True, True]  # yes, the earlier of two
    assert priors.right["by type"].tolist() == [True, True, True, True]


def test_only_answers_of_the_vocabulary(tmp_path):
    """MSRVTT-QA's own training file has all answers; its vocabulary lies beside it."""
    for split, answers in (("train", ["rare", "dog", "dog", "rare", "rare"]), ("test", ["rare", "dog"])):
        records = [{"id": i, "question": "what", "answer": answer, "video_id": i} for i, answer in enumerate(answers)]
        (tmp_path / f"{split}_qa.json").write_text(json.dumps(records))
    truth = tmp_path / "test_qa.json"
    assert priors_of(msrvttqa.SOURCE, truth).right["majority"].tolist() == [True, False]
    (tmp_path / "vocab.json").write_text('{"dog": 0}')
    priors = priors_of(msrvttqa.SOURCE, truth)
    assert all(right.tolist() == [False, True] for right in priors.right.values())
    (tmp_path / "vocab.json").write_text('{"cow": 0}')
    with pytest.raises(InputError, match=r"train_qa\.json: no answer of its questions is in .*vocab\.json"):
        priors_of(msrvttqa.SOURCE, truth)


def test_the_training_split(data, tmp_path):
    assert find_training(anetqa.SOURCE, data) == tmp_path / "train.csv"
    assert find_training(anetqa.SOURCE, data, "other.csv") == Path("other.csv")
    assert find_training(anetqa.SOURCE, tmp_path / "train.csv") is None  # no prior of a split from itself
    (tmp_path / "train.csv").unlink()
    assert find_training(anetqa.SOURCE, data) is None


def test_command(data, tmp_path, capsys):
    answers = ["no", "yes", "cat", "dog", "wood"]
    records = [{"qid": f"test{index}", "answer": answer} for index, answer in enumerate(answers)]
    (tmp_path / "p.json").write_text(json.dumps(records))
    command = ["anet", str(tmp_path / "p.json"), str(data), "--allow-missing", "--json", str(tmp_path / "s.json")]
    assert evaluation.main(command) == 0
    out = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
    assert rows["all"] == ["33.33", "66.67", "66.67", "83.33", "+20.00"]  # of five answers four are right, not three
    assert rows["Object"] == ["0.00", "100.00", "50.00", "100.00", "+0.00"]
    assert f"priors: from {tmp_path / 'train.csv'}" in out
    data = json.loads((tmp_path / "s.json").read_text())
    assert data["predictions"][0]["scores"]["overall"]["all"]["above_prior"] == pytest.approx(20)
    assert data["priors"]["accuracy"]["ceiling"]["overall"]["all"] == pytest.approx(100 * 5 / 6)
    assert data["priors"]["accuracy"]["majority"]["type"]["Motion"] is None
    assert evaluation.main([*command, "--train", "no.csv"]) == 2
    assert "no.csv does not exist" in capsys.readouterr().err
    (tmp_path / "train.csv").unlink()
    assert evaluation.main(command) == 0
    assert "prior" not in capsys.readouterr().out


@pytest.mark.skipif("DEST_ANETQA_RAW" not in os.environ, reason="set DEST_ANETQA_RAW to the published annotations")
def test_published_annotations(tmp_path):
    preprocess(os.environ["DEST_ANETQA_RAW"], tmp_path)
    priors = priors_of(anetqa.SOURCE, tmp_path / "test.csv")
    found = {name: round(100 * right.mean(), 2) for name, right in priors.right.items()}
    assert found == {"majority": 13.78, "by type": 24.34, "question only": 28.20, "ceiling": 80.74}
    types = anetqa.SOURCE.breakdowns[0].members(anetqa.read_questions(tmp_path / "test.csv"))
    assert share(priors.right["ceiling"], types["Temporal Relation"]) == pytest.approx(32.9, abs=0.05)
    assert share(priors.right["ceiling"], types["Motion"]) == pytest.approx(70.6, abs=0.05)
    assert priors.asked_twice == 11
    rows = {}
    for split in ("train", "test"):
        with (tmp_path / f"{split}.csv").open(newline="", encoding="utf-8") as file:
            rows[split] = list(csv.DictReader(file))
    texts = {split: [row["question"] for row in of_split] for split, of_split in rows.items()}
    loop = loop_prior(texts["train"], [row["answer"] for row in rows["train"]], texts["test"])
    expected = [answer == row["answer"] for answer, row in zip(loop, rows["test"], strict=True)]
    assert priors.right["question only"].tolist() == expected
