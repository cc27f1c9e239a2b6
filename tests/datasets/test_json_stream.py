"""Records come out as `json.load` gives them, however the file is cut into pieces."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.errors import InputError
from datasets.json_stream import iterate_json_object

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=4), children, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=6), st.dictionaries(st.text(max_size=4), VALUES, max_size=4), max_size=6)
LAYOUTS = st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("streams")


@settings(max_examples=60, deadline=None)
@given(expected=OBJECTS, layout=LAYOUTS, chunk_bytes=st.integers(1, 40))
def test_equals_json_load(folder, expected, layout, chunk_bytes):
    path = folder / "whole.json"
    encodable = json.dumps(expected, **layout).encode("utf-8", "replace")
    path.write_bytes(encodable)
    entries = list(iterate_json_object(path, chunk_bytes=chunk_bytes))
    assert {key: record for key, record, _ in entries} == json.loads(encodable)
    assert all(json.loads(text) == record for _, record, text in entries)


@settings(max_examples=60, deadline=None)
@given(record=OBJECTS.filter(bool), data=st.data(), chunk_bytes=st.integers(1, 40))
def test_a_truncated_file_is_an_error(folder, record, data, chunk_bytes):
    path = folder / "cut.json"
    text = json.dumps(record)
    path.write_text(text[: data.draw(st.integers(0, len(text) - 1))])
    with pytest.raises(InputError, match=r"cut\.json is not"):
        list(iterate_json_object(path, chunk_bytes=chunk_bytes))


def test_records_before_a_mistake_are_seen_and_repeated_keys_are_kept(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": {"x": 1}, "a": {"x": 2}, "b": [}')
    entries = iterate_json_object(path)
    assert next(entries) == ("a", {"x": 1}, '{"x": 1}')
    assert next(entries)[1] == {"x": 2}
    with pytest.raises(InputError, match="after the key 'b': every value must be an object"):
        next(entries)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a JSON object of records"),
        (b"[1]", "is not a JSON object of records"),
        (b'{"a": {}', r"expected ',' or '}' after the record 'a' \(character 8\)"),
        (b'{"a": {}} x', r"something follows the end of the object \(character 10\)"),
        (b'{"a": {},}', "expected a quoted key"),
        (b"{1: {}}", "expected a quoted key"),
        (b'{"a" {}}', "expected ':' after the key 'a'"),
        (b'{"a": 3}', "every value must be an object"),
        (b'{"a": {"b": tru, "c": "some more text after it"}}', r"Expecting value \(character 12\)"),
        (b'{"a": {"b": "\x00 and more text that follows it"}}', "Invalid control character"),
        (b'{"a": {"b": "\xff"}}', "is not UTF-8 text: invalid start byte at byte 13"),
        (b'{"a": ' + b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a": {"b": ' + b"1" * 5000 + b"}}", "Exceeds the limit"),
    ],
)
def test_errors_name_file_and_place(tmp_path, content, message):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        list(iterate_json_object(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistake_is_found_without_reading_on(tmp_path):
    path = tmp_path / "early.json"
    path.write_text('{"a": {"b": nonsense}, "c": {"d": "' + "x" * 10_000 + '"}}')
    read = []
    with pytest.raises(InputError, match="Expecting value"):
        list(iterate_json_object(path, read.append, chunk_bytes=100))
    assert sum(read) < 1000


def test_progress_adds_up_to_the_size(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({str(index): {"é": index} for index in range(50)}, ensure_ascii=False))
    read = []
    list(iterate_json_object(path, read.append, chunk_bytes=64))
    assert sum(read) == path.stat().st_size


def test_a_byte_order_mark_is_skipped(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": {}}', encoding="utf-8-sig")
    assert [key for key, _, _ in iterate_json_object(path)] == ["a"]


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(InputError, match=r"none\.json does not exist"):
        list(iterate_json_object(tmp_path / "none.json"))
    with pytest.raises(InputError, match=r"cannot read .*: Is a directory"):
        list(iterate_json_object(tmp_path))
