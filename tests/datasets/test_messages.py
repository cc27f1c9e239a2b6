import json

import pytest

from datasets.annotations import csv_rows, json_list_rows, read_vocabulary
from datasets.captions import read_caption_records
from datasets.errors import InputError
from datasets.frames import read_square
from datasets.json_stream import iterate_json_object
from datasets.sources import agqa, anetqa, msrvttqa

AGQA = {"question": "is it", "answer": "yes", "video_id": "Y", "global": ["exists"], "semantic": "relation"}
AGQA |= {"structural": "verify", "ans_type": "binary", "nc_seq": 1, "direct_equiv": None}
MSRVTT = {"answer": "couch", "category_id": 14, "id": 1, "question": "What is it?", "video_id": 7010}
ANET = "qid,question,answer,video_id,type\n"
WRONG = [("semantic", 3), ("global", "exists"), ("global", [None]), ("steps", "3"), ("nc_seq", "yes")]
READERS = {
    "vocabulary": read_vocabulary,
    "csv": lambda path: list(csv_rows(path, ["a", "b"])),
    "list": lambda path: list(json_list_rows(path)),
    "records": lambda path: list(iterate_json_object(path)),
    "captions": lambda path: read_caption_records(path, "vid", "cap"),
    "anetqa": anetqa.read_questions,
    "agqa": agqa.read_questions,
    "msrvttqa": msrvttqa.read_questions,
    "image": lambda path: read_square(path, 8),
}
# reader -> content (text, bytes, or what is written as JSON), and what the message names
CASES = {
    "vocabulary": [("[]", "answer -> index"), ('{"a": 1}', "index 0"), ('{"a": 0', "not valid JSON")],
    "csv": [("x,y\n1,2\n", "'a', 'b'"), ("a,b\n1,2\n1\n", "line 3"), ('a,b\n1,"2\n', "no CSV")],
    "list": [({}, "JSON list"), ([{}, 3], "item 1")],
    "records": [
        ('{"a": {}, "b": {' + " " * 100_000 + "1}}", "after the record 'a', within its first 100,019 bytes"),
        ('{"a": 3}', "'a'"),
        (b'{"a": {"b": "\xff"}}', "UTF8"),
    ],
    "captions": [
        ([{"vid": "../a", "cap": "x"}], "'../a'"),
        ([{"vid": "a", "cap": "x"}, {"vid": "b", "cap": ["y", 3]}], "item 1: the caption 3"),
        ([{"vid": "a", "cap": " . "}], "says nothing"),
    ],
    "anetqa": [
        (ANET, "no questions"),
        (f"{ANET}a,what,b,c,9\n", "line 2: the type is '9'"),
        (f"{ANET}a,,b,c,3\n", "line 2: 'question'"),
        *((f"{ANET}a,what,b,{video},3\n", repr(video)) for video in ("../../x", "..")),
        (ANET + "".join(f"{index % 10},what,b,c,3\n" for index in range(20)), "10 question id(s)"),
    ],
    "agqa": [
        *(({"q": {key: AGQA[key] for key in AGQA if key != name}}, f"no '{name}'") for name in agqa.FIELDS),
        *(({"q": AGQA | {name: value}}, f"record 'q': {name!r} is {value!r}") for name, value in WRONG),
    ],
    "msrvttqa": [
        ([MSRVTT | {"answer": "\ud800"}], "item 0: 'answer'"),
        ([MSRVTT, MSRVTT | {"id": 2, "video_id": None}], "item 1: 'video_id' is None"),
    ],
}


@pytest.mark.parametrize(("name", "content", "said"), [(name, *case) for name in CASES for case in CASES[name]])
def test_what_is_wrong_is_named(tmp_path, name, content, said):
    path = tmp_path / "bad.file"
    content = content if isinstance(content, str | bytes) else json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        READERS[name](path)
    message = str(caught.value)
    assert str(path) in message and said in message and "\n" not in message
    assert list(tmp_path.iterdir()) == [path]  # no copy of what cannot be used


@pytest.mark.parametrize("name", READERS)
def test_missing_files(tmp_path, name):
    with pytest.raises(InputError, match=str(tmp_path / "nothing")):
        READERS[name](tmp_path / "nothing")
