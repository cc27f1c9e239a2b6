"""The table gives rows back as they were, from memory or from its copy on disk; test_messages.py has bad rows."""

import multiprocessing
import os
import pickle

import numpy as np
import pyarrow as pa
import pytest

from datasets.errors import InputError
from datasets.question_table import _open_copy, _write_copy, read_table

ROWS = [
    {"qid": "q1", "question": "what\nis it", "answer": "a dog", "video_id": "v2"},
    {"qid": "q2", "question": "who, me?", "answer": "nan", "video_id": "v1"},
    {"qid": "q3", "question": "où", "answer": "", "video_id": "v2"},
    {"qid": "q4", "question": "when", "answer": "a dog", "video_id": "v3"},
]


def read(path, rows=ROWS, reader="test", **options):
    return read_table(path, reader, lambda path: ((f"line {i}", row) for i, row in enumerate(rows, 1)), **options)


def read_copy(path):
    return read_table(path, "test", rows=None)  # nobody reads the source


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
    assert contents(table) == contents(read_copy(source)) == ROWS
    assert table.video_ids == ["v2", "v1", "v3"]
    assert table.video_codes.dtype == np.int32 and table.video_codes.tolist() == [0, 1, 0, 2]
    assert table.column("answer").to_pylist() == ["a dog", "nan", "", "a dog"]


def test_many_chunks_are_one_and_are_not_sent_to_workers(source):
    rows = [{"qid": str(i), "question": f"q{i}", "answer": str(i % 7), "video_id": f"v{i % 11}"} for i in range(10_000)]
    message = pickle.dumps(read(source, rows))
    assert len(message) < 1000
    assert contents(pickle.loads(message)) == rows


def test_the_copy_follows_the_source(source):
    message = pickle.dumps(read(source))
    later = source.stat().st_mtime_ns + 1_000_000
    os.utime(source, ns=(later, later))
    assert len(read(source, ROWS[:1])) == 1
    source.write_text("longer" * 100)
    os.utime(source, ns=(later, later))
    assert len(read(source, ROWS[:2])) == 2
    assert len(read(source, ROWS[:3], reader="another")) == 3
    with pytest.raises(InputError, match=r"\.a\.txt\.arrow"):  # another than this worker was sent
        pickle.loads(message)


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: b"nonsense", lambda data: data[: len(data) // 2]])
def test_a_damaged_copy_is_made_again(source, damage):
    read(source)
    copy = source.with_name(".a.txt.arrow")
    copy.write_bytes(damage(copy.read_bytes()))
    assert contents(read(source)) == contents(read_copy(source)) == ROWS


def test_a_copy_with_codes_out_of_range_is_made_again(source):
    read(source)
    copy = source.with_name(".a.txt.arrow")
    table = _open_copy(copy, pa.ipc.open_file(copy.read_bytes()).schema.metadata)._table
    answers = table.column("answer").chunk(0).dictionary
    wrong = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 1 << 20], pa.int32()), answers, safe=False)
    _write_copy(copy, table.set_column(table.column_names.index("answer"), "answer", wrong))
    assert contents(read(source)) == contents(read_copy(source)) == ROWS


def test_where_no_copy_can_be_made_the_table_is_in_memory(source):
    source.with_name(".a.txt.arrow").mkdir()
    assert contents(pickle.loads(pickle.dumps(read(source)))) == ROWS


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_the_same(source, method):
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(contents, (read(source),)) == ROWS


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
    assert set(table.column_names) == {*ROWS[0], *columns, "is_new"}
