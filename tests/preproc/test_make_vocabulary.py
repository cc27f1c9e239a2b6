"""The order and the bounds of a vocabulary."""

import json
from collections import Counter

from datasets.annotations import read_vocabulary
from preproc.make_vocabulary import main, make_vocabulary


def test_most_frequent_first_and_ties_in_alphabetical_order():
    answers = ["b", "c", "a", "c", "b", "d"]
    assert make_vocabulary(answers) == {"b": 0, "c": 1, "a": 2, "d": 3}
    assert make_vocabulary(reversed(answers)) == make_vocabulary(answers) == make_vocabulary(Counter(answers))
    assert make_vocabulary(answers, min_count=2) == {"b": 0, "c": 1}
    assert make_vocabulary(answers, max_size=3) == {"b": 0, "c": 1, "a": 2}


def test_command(tmp_path, capsys, refused):
    record = {"video_id": 1, "question": "what is it?", "category_id": 1}
    records = [record | {"id": index, "answer": answer} for index, answer in enumerate(["dog", "cat", "cat", "fish"])]
    (tmp_path / "train_qa.json").write_text(json.dumps(records))
    assert "train_qa.json: no answer occurs 5 times" in refused(main, "msrvttqa", tmp_path, "--min-count", 5)
    assert main(["msrvttqa", str(tmp_path), "--max-size", "2"]) == 0
    assert read_vocabulary(tmp_path / "vocab.json") == ["cat", "dog"]
    assert "vocab.json: 2 answers" in capsys.readouterr().out
