"""The order and the bounds of a vocabulary."""

import json
from collections import Counter

import pytest

from datasets.annotations import read_vocabulary
from preproc.make_vocabulary import main, make_vocabulary


def test_most_frequent_first_and_ties_in_alphabetical_order():
    answers = ["b", "c", "a", "c", "b", "d"]
    assert make_vocabulary(answers) == {"b": 0, "c": 1, "a": 2, "d": 3}
    assert make_vocabulary(reversed(answers)) == make_vocabulary(answers) == make_vocabulary(Counter(answers))
    assert make_vocabulary(answers, min_count=2) == {"b": 0, "c": 1}
    assert make_vocabulary(answers, max_size=3) == {"b": 0, "c": 1, "a": 2}


def write_train(folder, answers):
    records = [
        {"id": index, "video_id": index % 2, "question": "what is it?", "answer": answer, "category_id": 1}
        for index, answer in enumerate(answers)
    ]
    (folder / "train_qa.json").write_text(json.dumps(records))


def test_command(tmp_path, capsys):
    write_train(tmp_path, ["dog", "cat", "cat", "fish"])
    assert main(["msrvttqa", str(tmp_path), "--max-size", "2"]) == 0
    assert read_vocabulary(tmp_path / "vocab.json") == ["cat", "dog"]
    assert "vocab.json: 2 answers" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--min-count", "5"], "train_qa.json: no answer occurs 5 times"),
        (["--max-size", "0"], "--max-size 0 must be at least 1"),
        (["--min-count", "-1"], "--min-count -1 must be at least 1"),
    ],
)
def test_errors(tmp_path, capsys, options, message):
    write_train(tmp_path, ["dog"])
    assert main(["msrvttqa", str(tmp_path), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "vocab.json").exists()
