"""Records come out as `json.load` gives them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.errors import InputError
from datasets.json_stream import iterate_json_object

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1 - 2**63, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=4), children, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=6), st.dictionaries(st.text(max_size=4), VALUES, max_size=4), max_size=6)
LAYOUTS = st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("streams")


@settings(max_examples=60, deadline=None)
@given(expected=OBJECTS, layout=LAYOUTS, mark=st.sampled_from([b"", b"\xef\xbb\xbf", b" \n"]))
def test_equals_json_load(folder, expected, layout, mark):
    path = folder / "whole.json"
    encodable = json.dumps(expected, **layout).encode("utf-8", "replace")
    path.write_bytes(mark + encodable)
    read = []
    assert dict(iterate_json_object(path, read.append)) == json.loads(encodable)
    assert sum(read) == len(encodable) + (len(mark) if mark.isspace() else 0)


@settings(max_examples=60, deadline=None)
@given(record=OBJECTS.filter(bool), data=st.data())
def test_a_truncated_file_is_an_error(folder, record, data):
    path = folder / "cut.json"
    text = json.dumps(record)
    path.write_text(text[: data.draw(st.integers(0, len(text) - 1))])
    with pytest.raises(InputError, match=r"cut\.json is not"):
        list(iterate_json_object(path))


def test_records_before_a_mistake_are_seen_and_repeated_keys_are_kept(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": {"x": 1}, "a": {"x": 2}, "b": ["y"]}')
    entries = iterate_json_object(path)
    assert next(entries) == ("a", {"x": 1})
    assert next(entries) == ("a", {"x": 2})
    with pytest.raises(InputError, match="value of 'b' is no object"):
        next(entries)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a JSON object of records"),
        (b"[1]", "is not a JSON object of records"),
        (b'{"a": {}', "after the beginning, within its first 8 bytes: .*premature EOF"),
        (b'{"a": {}} x', "after the record 'a', within its first 11 bytes"),
        (b'{"a": {},}', "invalid object key"),
        (b"{1: {}}", "after the beginning, within its first 7 bytes"),
        (b'{"a" {}}', "is not valid JSON"),
        (b'{"a": {}, "b": {' + b" " * 100_000 + b"1}}", "after the record 'a', within its first 100,019 bytes"),
        (b'{"a": 3}', "the value of 'a' is no object"),
        (b'{"a": {}, "b": {"c": tru, "d": "some more text after it"}}', "tru, "),
        (b'{"a": {"b": "\x00 and more text that follows it"}}', "invalid character"),
        (b'{"a": {"b": "\xff"}}', "invalid bytes in UTF8"),
        (b'{"a": {"b": ' + b"1" * 5000 + b"}}", "overflow"),
    ],
)
def test_errors_name_file_and_place(tmp_path, content, message):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        list(iterate_json_object(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(InputError, match=r"none\.json does not exist"):
        list(iterate_json_object(tmp_path / "none.json"))
    with pytest.raises(InputError, match=r"cannot read .*: Is a directory"):
        list(iterate_json_object(tmp_path))
