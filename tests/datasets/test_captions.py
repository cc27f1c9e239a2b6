import json
import pickle

import pytest

from datasets.captions import CaptionTable, plain, read_caption_records
from datasets.errors import InputError
from datasets.sources import tgif, vatex


def write(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_vatex_has_several_captions_a_video(tmp_path):
    path = write(tmp_path / "train.json", [{"videoID": "a", "enCap": ["One.", " Two "], "chCap": []}])
    table = vatex.SOURCE.read_captions(path)
    assert table.video_ids == ["a"]
    assert table.captions(0) == ["One.", "Two"]


def test_tgif_records_of_one_video_come_together(tmp_path):
    records = [{"vid": "a", "cap": "x"}, {"vid": "b", "cap": "y"}, {"vid": "a", "cap": "Z"}]
    table = tgif.SOURCE.read_captions(write(tmp_path / "train.json", records))
    assert [table.captions(video) for video in range(len(table))] == [["x", "Z"], ["y"]]
    assert table.starts.tolist() == [0, 2, 3]


def test_captions_that_read_the_same_have_one_meaning():
    table = CaptionTable({"a": ["A  man runs.", "a man runs"], "b": ["A MAN RÚNS!", "a man ran"]})
    assert table.meanings.tolist() == [0, 0, 0, 1]
    assert table.num_meanings == 2
    assert plain(" É.. ") == "e"
    assert plain("The dog bites a man.") == plain("a dog bites the man") == "dog bites man"


def test_table_survives_pickling():
    table = pickle.loads(pickle.dumps(CaptionTable({"a": ["x"], "b": ["y", "z"]})))
    assert (table.video_id(1), table.captions(1), table.text(2), len(table)) == ("b", ["y", "z"], "z", 2)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ({}, "not a JSON list"),
        ([], "has no captions"),
        ([1], "item 0: not an object"),
        ([{"vid": "a"}], "item 0: the captions are None"),
        ([{"cap": "x"}], "item 0: no 'vid'"),
        ([{"vid": 3, "cap": "x"}], "'vid' is 3"),
        ([{"vid": "../a", "cap": "x"}], "cannot be a file name"),
        ([{"vid": "a", "cap": "x"}, {"vid": "b", "cap": ["y", 3]}], "item 1: the caption 3 is not text"),
        ([{"vid": "a", "cap": " . "}], "says nothing"),
        ([{"vid": "a", "cap": []}], "not a caption or a list"),
        ([{"vid": "a", "cap": {"en": "x"}}], "not a caption or a list"),
        ([{"vid": "a", "cap": "\ud800"}], "not Unicode"),
    ],
)
def test_bad_records_are_named(tmp_path, records, message):
    path = write(tmp_path / "captions.json", records)
    with pytest.raises(InputError, match=message) as error:
        read_caption_records(path, "vid", "cap")
    assert str(path) in str(error.value)
