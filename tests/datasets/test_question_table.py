import os
import pickle

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


def read(path, rows=ROWS):
    return read_table(path, "test", lambda path: ((f"line {i}", row) for i, row in enumerate(rows, 1)))


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("of any content")
    return path


def contents(table):
    rows = (table.qid, table.question, table.answer, lambda index: table.video_ids[table.video(index)])
    return [dict(zip(ROWS[0], (read(index) for read in rows), strict=True)) for index in range(len(table))]


def test_many_chunks_are_one_and_are_not_sent_to_workers(source):
    rows = [{"qid": str(i), "question": f"q{i}", "answer": str(i % 7), "video_id": f"v{i % 11}"} for i in range(10_000)]
    message = pickle.dumps(read(source, rows))
    assert len(message) < 1000
    assert contents(pickle.loads(message)) == rows


def test_the_copy_follows_the_source(source):
    message = pickle.dumps(read(source))
    for number, text in enumerate(("of any content", "longer"), 1):  # changed later, and another size
        source.write_text(text)
        os.utime(source, (1e9, 1e9))
        assert len(read(source, ROWS[:number])) == number
    with pytest.raises(InputError, match=r"\.a\.txt\.arrow"):  # another than this worker was sent
        pickle.loads(message)


def test_a_damaged_copy_is_made_again(source):
    table = read(source)
    copy = source.with_name(".a.txt.arrow")
    whole = copy.read_bytes()
    answers = table.column("answer").dictionary
    wrong = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 1 << 20], pa.int32()), answers, safe=False)
    own = _open_copy(copy, pa.ipc.open_file(whole).schema.metadata)._table
    _write_copy(copy, own.set_column(own.column_names.index("answer"), "answer", wrong))
    for damaged in (copy.read_bytes(), whole[: len(whole) // 2]):  # the first has a code out of range
        copy.write_bytes(damaged)
        assert contents(read(source)) == contents(read_table(source, "test", rows=None)) == ROWS


def test_where_no_copy_can_be_made_the_table_is_in_memory(source):
    source.with_name(".a.txt.arrow").mkdir()
    assert contents(pickle.loads(pickle.dumps(read(source)))) == ROWS
