import json
import pickle

import pytest

from datasets.annotations import csv_rows, read_vocabulary
from datasets.captions import CaptionTable, plain
from datasets.errors import InputError
from datasets.json_stream import iterate_json_object
from datasets.sources import tgif, vatex


def write(path, value):
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def test_rows_and_vocabulary(tmp_path):
    assert read_vocabulary(write(tmp_path / "vocab.json", '{"no": 1, "yes": 0, "": 2}')) == ["yes", "no", ""]
    rows = csv_rows(write(tmp_path / "a.csv", '\ufeffa,b\n1,"x\ny"\nNone,\n'), ["b"])
    assert list(rows) == [("line 2", {"a": "1", "b": "x\ny"}), ("line 4", {"a": "None", "b": ""})]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b" \n"])
def test_streamed_records_are_those_of_json_and_a_cut_file_is_an_error(tmp_path, mark):
    expected = {"é": {"": [1, 2**63 - 1, -0.5, None, {"a": [True]}]}, "b": {}, "c": {"d": '\u2028"'}}
    path = tmp_path / "records.json"
    for layout in ({}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}):
        whole, read = json.dumps(expected, **layout).encode(), []
        path.write_bytes(mark + whole)
        assert dict(iterate_json_object(path, read.append)) == expected
        assert sum(read) == len(whole) + (len(mark) if mark.isspace() else 0)
        for cut in range(len(whole)):
            path.write_bytes(whole[:cut])
            with pytest.raises(InputError, match=r"records\.json is not"):
                list(iterate_json_object(path))


def test_captions(tmp_path):
    table = vatex.SOURCE.read_captions(write(tmp_path / "a.json", [{"videoID": "a", "enCap": ["One.", " Two "]}]))
    assert table.video_ids == ["a"] and table.captions(0) == ["One.", "Two"]
    records = [{"vid": "a", "cap": "x"}, {"vid": "b", "cap": "y"}, {"vid": "a", "cap": "Z"}]
    table = pickle.loads(pickle.dumps(tgif.SOURCE.read_captions(write(tmp_path / "tgif.json", records))))
    assert [table.captions(video) for video in range(len(table))] == [["x", "Z"], ["y"]]
    assert (table.video_id(1), table.text(2), table.starts.tolist()) == ("b", "y", [0, 2, 3])


def test_captions_that_read_the_same_have_one_meaning():
    table = CaptionTable({"a": ["A  man runs.", "a man runs"], "b": ["A MAN RÚNS!", "a man ran"]})
    assert table.meanings.tolist() == [0, 0, 0, 1] and table.num_meanings == 2
    assert plain("The dog bites a man.") == plain("a dog bites the man") == "dog bites man"
