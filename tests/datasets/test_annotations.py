"""Vocabularies, the list of datasets, and rows of CSV and JSON files."""

import json

import pytest

from datasets.annotations import csv_rows, json_list_rows, json_object_rows, read_vocabulary
from datasets.errors import InputError


def test_vocabulary_in_order_of_index(tmp_path):
    path = tmp_path / "vocab.json"
    path.write_text('{"no": 1, "yes": 0, "": 2}')
    assert read_vocabulary(path) == ["yes", "no", ""]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "is not a JSON object of answer -> index"),
        ("{}", "is not a JSON object of answer -> index"),
        ('{"a": 1}', "no answer has the index 0; 1 answers have the indices 0 to 0, each once"),
        ('{"a": 0, "b": 0}', "no answer has the index 1"),
        ('{"a": 0, "b": 2, "c": 3}', "no answer has the index 1"),
        ('{"a": true}', "no answer has the index 0"),
        ('{"a": "0"}', "no answer has the index 0"),
        ('{"a": 0', "is not valid JSON"),
    ],
)
def test_a_bad_vocabulary_is_named(tmp_path, content, message):
    path = tmp_path / "vocab.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_vocabulary(path)
    assert str(path) in str(caught.value)


def test_csv_rows(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('﻿a,b\n1,"x\ny"\nNone,\n', encoding="utf-8")
    expected = [("line 2", {"a": "1", "b": "x\ny"}), ("line 4", {"a": "None", "b": ""})]
    assert list(csv_rows(path, ["b"])) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no column"),
        (b"x,y\n1,2\n", r"has no column 'a', 'b' \(it has 'x, y'\); is it of another dataset\?"),
        (b"a,b\n1,2\n1\n", "line 3: 1 fields instead of 2"),
        (b"a,b\n1,2,3\n", "line 2: 3 fields instead of 2"),
        (b'a,b\n1,"2\n', "is no CSV: unexpected end of data"),
        (b"a,b\n1,\xff\n", "is not UTF-8 text: invalid start byte"),
        (b"a,b\n1," + b"x" * 200_000, "is no CSV: field larger than field limit"),
    ],
)
def test_a_bad_csv_is_named(tmp_path, content, message):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        list(csv_rows(path, ["a", "b"]))
    assert str(path) in str(caught.value)


def test_csv_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*Is a directory"):
        list(csv_rows(tmp_path, ["a"]))


def test_json_rows(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"q1": {"x": 1}}')
    assert list(json_object_rows(path)) == [("record 'q1'", {"x": 1, "qid": "q1"})]
    path.write_text('[{"x": 1}]')
    assert list(json_list_rows(path)) == [("item 0", {"x": 1})]


@pytest.mark.parametrize(("content", "message"), [({}, "is not a JSON list"), ([{}, 3], "item 1: not an object")])
def test_bad_json_lists_are_named(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        list(json_list_rows(path))
