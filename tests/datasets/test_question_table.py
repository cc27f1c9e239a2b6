"""The table gives rows back as they were, from memory or from its copy on disk, and says what is wrong with a file."""

import multiprocessing
import os
import pickle

import numpy as np
import pyarrow as pa
import pytest

from datasets.errors import InputError
from datasets.question_table import QuestionTable, _open_copy, _write_copy, read_table

ROWS = [
    {"qid": "q1", "question": "what\nis it", "answer": "a dog", "video_id": "v2"},
    {"qid": "q2", "question": "who, me?", "answer": "nan", "video_id": "v1"},
    {"qid": "q3", "question": "où", "answer": "", "video_id": "v2"},
    {"qid": "q4", "question": "when", "answer": "a dog", "video_id": "v3"},
]


def read(path, rows=ROWS, **options):
    return read_table(path, "test", lambda path: ((f"line {i}", row) for i, row in enumerate(rows, 1)), **options)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("its content does not matter to these tests")
    return path


def contents(table):
    return [
        {
            "qid": table.qid(index),
            "question": table.question(index),
            "answer": table.answer(index),
            "video_id": table.video_ids[table.video(index)],
        }
        for index in range(len(table))
    ]


def test_rows_and_columns(source):
    table = read(source)
    assert contents(table) == ROWS
    assert table.video_ids == ["v2", "v1", "v3"]
    assert table.video_codes.dtype == np.int32
    assert table.video_codes.tolist() == [0, 1, 0, 2]
    assert table.column("answer").to_pylist() == ["a dog", "nan", "", "a dog"]
    assert table.nbytes > 0


def test_many_chunks_are_one(source):
    rows = [{"qid": str(i), "question": f"q{i}", "answer": str(i % 7), "video_id": f"v{i % 11}"} for i in range(10_000)]
    assert contents(read(source, rows)) == rows


def test_second_reading_uses_the_copy(source):
    read(source)
    table = read_table(source, "test", rows=None)  # nobody reads the source
    assert contents(table) == ROWS


def test_the_copy_follows_the_source(source):
    read(source)
    later = source.stat().st_mtime_ns + 1_000_000
    os.utime(source, ns=(later, later))
    assert len(read(source, ROWS[:1])) == 1
    source.write_text("longer" * 100)
    assert len(read(source, ROWS[:2])) == 2
    assert len(read_table(source, "another", lambda path: [("line 1", ROWS[0])])) == 1


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: b"nonsense", lambda data: data[: len(data) // 2]])
def test_a_damaged_copy_is_made_again(source, damage):
    read(source)
    copy = source.with_name(".a.txt.arrow")
    copy.write_bytes(damage(copy.read_bytes()))
    assert contents(read(source)) == ROWS
    assert contents(read_table(source, "test", rows=None)) == ROWS


def test_a_copy_with_codes_out_of_range_is_made_again(source):
    rows = contents(read(source))
    copy = source.with_name(".a.txt.arrow")
    table = _open_copy(copy, key := pa.ipc.open_file(copy.read_bytes()).schema.metadata)._table
    answer = table.column("answer").chunk(0)
    codes = pa.array([0, 1, 2, 1 << 20], pa.int32())
    wrong = pa.DictionaryArray.from_arrays(codes, answer.dictionary, safe=False)
    _write_copy(copy, table.set_column(table.column_names.index("answer"), "answer", wrong))
    with pytest.raises(pa.ArrowInvalid):
        _open_copy(copy, key)
    assert contents(read(source)) == rows
    assert contents(_open_copy(copy, key)) == rows


def test_where_no_copy_can_be_made_the_table_is_in_memory(source):
    source.with_name(".a.txt.arrow").mkdir()
    table = read(source)
    assert contents(table) == ROWS
    assert contents(pickle.loads(pickle.dumps(table))) == ROWS
    assert {path.name for path in source.parent.iterdir()} == {"a.txt", ".a.txt.arrow"}


def test_pickling_does_not_send_the_questions(source):
    rows = [{**ROWS[0], "qid": str(index)} for index in range(5000)]
    message = pickle.dumps(read(source, rows))
    assert len(message) < 1000
    assert contents(pickle.loads(message)) == rows


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_the_same(source, method):
    table = read(source)
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(contents, (table,)) == ROWS


def test_a_copy_that_was_replaced_is_an_error_in_the_worker(source):
    message = pickle.dumps(read(source))
    os.utime(source, ns=(1, 1))
    read(source, ROWS[:1])
    with pytest.raises(InputError, match=r"\.a\.txt\.arrow has changed since it was opened; start again"):
        pickle.loads(message)


def test_further_columns(source):
    rows = [
        {**ROWS[0], "kind": "x", "tags": ["a", "b"], "is_new": True},
        {**ROWS[1], "kind": "y", "tags": []},
        {**ROWS[2], "kind": None, "tags": ["a"], "is_new": False},
    ]
    columns = {"kind": pa.string(), "tags": pa.list_(pa.string())}
    table = read(source, rows, extra_columns=columns, is_flag=lambda name: name.startswith("is_"))
    assert table.column("kind").to_pylist() == ["x", "y", None]
    assert table.column("tags").to_pylist() == [["a", "b"], [], ["a"]]
    assert table.column("is_new").to_pylist() == [True, None, False]
    assert set(table.column_names) == {"qid", "question", "answer", "video_id", "kind", "tags", "is_new"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"question": None}, "line 2: 'question' is None, not text"),
        ({"answer": 3}, "line 2: 'answer' is 3, not text"),
        ({"question": ""}, "line 2: 'question' is empty"),
        ({"qid": ""}, "line 2: 'qid' is empty"),
        ({"question": "a\0b"}, "line 2: 'question' contains a NUL character"),
        ({"answer": "\ud800"}, "line 2: 'answer' is .* with half of a surrogate pair"),
        ({"video_id": "../../x"}, r"line 2: the video id '\.\./\.\./x' cannot be a file name"),
        ({"video_id": "/etc/passwd"}, "line 2: the video id '/etc/passwd' cannot be a file name"),
        ({"video_id": ".."}, r"line 2: the video id '\.\.' cannot be a file name"),
        ({"video_id": "a\\b"}, "cannot be a file name"),
        ({"video_id": "C:x"}, "cannot be a file name"),
        ({"video_id": "a\nb"}, "cannot be a file name"),
        ({"qid": "q1"}, r"a\.txt: 1 question id\(s\) occur more than once: 'q1'"),
    ],
)
def test_a_wrong_value_is_named(source, change, message):
    rows = [ROWS[0], {**ROWS[1], **change}]
    with pytest.raises(InputError, match=message) as caught:
        read(source, rows, extra_columns={"kind": pa.string()})
    assert str(source) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in source.parent.iterdir()] == ["a.txt"]


def test_a_missing_field_is_named(source):
    with pytest.raises(InputError, match="line 1: no 'answer'"):
        read(source, [{"qid": "q", "question": "q", "video_id": "v"}])


def test_many_repeated_ids_are_counted(source):
    rows = [{**ROWS[0], "qid": str(index % 10)} for index in range(20)]
    with pytest.raises(InputError, match=r"10 question id\(s\) occur more than once: '0', '1', '2', '3', '4', …"):
        read(source, rows)


def test_no_questions(source):
    with pytest.raises(InputError, match=r"a\.txt has no questions"):
        read(source, [])


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.txt does not exist"):
        read(tmp_path / "none.txt")


def test_a_table_can_be_made_of_an_arrow_table():
    table = pa.table(
        {
            "qid": ["a"],
            "question": ["b"],
            "answer": pa.array(["c"]).dictionary_encode(),
            "video_id": pa.array(["d"]).dictionary_encode(),
        }
    )
    assert QuestionTable(table).answer(0) == "c"
