"""The questions of one split as a table: by column, checked, and shared by processes."""

import os
from array import array
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .errors import InputError, explained, first_few
from .files import atomic_write, reading
from .names import video_id_problem

# A row and where it stands in its file ("line 7", "record 'x'"), for messages.
Row = tuple[str, dict[str, Any]]

_CACHE_FORMAT = b"4"  # changes with what a copy holds, so that older ones are made again
_ROWS_PER_CHUNK = 1 << 12
CHOICES = "choices"  # the column of multiple choice: lists of texts
_TEXT_COLUMNS = ("qid", "question", "answer", "video_id")


class QuestionTable:
    """The questions of one split, by column, in Arrow's memory layout.

    When it is backed by a file (see `read_table`), the operating system keeps one copy of the pages for all processes,
    and pickling it for a worker sends the file's name. Reading a row costs no scan.
    """

    def __init__(self, table: pa.Table, file: Path | None = None):
        """
        Args:
            table: columns qid, question (strings); answer, video_id (dictionary-encoded strings); any others.
            file: the Arrow file that `table` is a memory map of, if it is one.
        """
        self._table, self._file = table.combine_chunks(), file
        column = {name: _single_chunk(self._table.column(name)) for name in _TEXT_COLUMNS}
        self._qids, self._questions = column["qid"], column["question"]
        self._answer_codes = column["answer"].indices.to_numpy()
        self._answers = column["answer"].dictionary.to_pylist()
        self.video_codes: np.ndarray = column["video_id"].indices.to_numpy()  # int32 [N], an index into `video_ids`
        self.video_ids: list[str] = column["video_id"].dictionary.to_pylist()  # in order of first appearance

    def __len__(self) -> int:
        return self._table.num_rows

    def qid(self, index: int) -> str:
        return self._qids[index].as_py()

    def question(self, index: int) -> str:
        return self._questions[index].as_py()

    def answer(self, index: int) -> str:
        return self._answers[self._answer_codes[index]]

    def choices(self, index: int) -> list[str]:
        """The answers that the question itself offers; none where questions are open."""
        return self._table.column(CHOICES)[index].as_py() if self.has_choices else []

    @property
    def has_choices(self) -> bool:
        """True of multiple choice."""
        return CHOICES in self.column_names

    def video(self, index: int) -> int:
        """The video's place in `video_ids`."""
        return int(self.video_codes[index])

    @property
    def column_names(self) -> list[str]:
        return self._table.column_names

    def column(self, name: str) -> pa.Array:
        """A whole column; `.to_pylist()` makes Python values of it."""
        return _single_chunk(self._table.column(name))

    def subset(self, mask: np.ndarray) -> "QuestionTable":
        """The questions where `mask` (bool [N]) is True, with the answers and videos that are left."""
        table = self._table.filter(pa.array(mask))
        for name in ("answer", "video_id"):
            codes = table.column(name).cast(pa.string()).dictionary_encode()
            table = table.set_column(table.column_names.index(name), name, codes)
        return QuestionTable(table.unify_dictionaries())

    @property
    def nbytes(self) -> int:
        """Size of all columns, whether in memory or on disk."""
        return self._table.nbytes

    def __reduce__(self):
        if self._file is None:
            return QuestionTable, (self._table,)
        return _reopen, (self._file, dict(self._table.schema.metadata))


def read_table(
    path: str | os.PathLike,
    reader: str,
    rows: Callable[[Path], Iterable[Row]],
    extra_columns: Mapping[str, pa.DataType] | None = None,
    is_flag: Callable[[str], bool] = lambda name: False,
) -> QuestionTable:
    """Reads the questions of a file, from the Arrow copy beside it when there is one.

    The copy, `.<file name>.arrow`, is made at the first reading and again when size or time of change of the file
    differ. It appears whole or not at all; where it cannot be written the table lives in memory.

    Args:
        reader: name of the dataset, part of the copy's key.
        rows: yields `(where, row)`; a row has qid, question, answer, video_id and whatever `extra_columns` names.
        extra_columns: name -> Arrow type of further columns; null where a row lacks it.
        is_flag: says of a name whether it is a further column of booleans; not every row, nor every file, has it.

    Raises:
        InputError: the file is missing or not what `reader` reads; no rows; a value of the wrong type; an empty qid,
            question or video id; a video id that cannot be a file name; a repeated qid.
    """
    path = Path(path)
    with reading(path):
        status = path.stat()
    key = {
        b"format": _CACHE_FORMAT,
        b"reader": reader.encode(),
        b"size": b"%d" % status.st_size,
        b"mtime_ns": b"%d" % status.st_mtime_ns,
    }
    copy = path.with_name(f".{path.name}.arrow")
    with suppress(OSError, pa.ArrowException):
        return _open_copy(copy, key)
    table = _build_table(path, rows(path), extra_columns or {}, is_flag).replace_schema_metadata(key)
    with suppress(InputError, OSError, pa.ArrowException):
        _write_copy(copy, table)
        return _open_copy(copy, key)
    return QuestionTable(table)


def text_problem(row: Mapping[str, Any], names: Iterable[str], may_be_empty: str | None = None) -> str | None:
    """Says what is wrong unless the row has these fields and they are proper text, not empty; None when nothing is."""
    for name in names:
        value = row.get(name)
        if not isinstance(value, str):
            return f"{name!r} is {value!r}, not text" if name in row else f"no {name!r}"
        if not value and name != may_be_empty:
            return f"{name!r} is empty"
        if "\0" in value:
            return f"{name!r} contains a NUL character"
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            return f"{name!r} is {value!r}, with half of a surrogate pair"
    return None


def _write_copy(file: Path, table: pa.Table) -> None:
    with atomic_write(file, "wb") as content, pa.ipc.new_file(content, table.schema) as writer:
        writer.write_table(table)


def _open_copy(file: Path, key: Mapping[bytes, bytes]) -> QuestionTable:
    """Maps a copy into memory. Raises OSError or ArrowException if it is missing, cut short or of another key."""
    with pa.memory_map(str(file)) as mapped:
        table = pa.ipc.open_file(mapped.read_buffer()).read_all()
    if dict(table.schema.metadata or {}) != dict(key):
        raise pa.ArrowInvalid("made of another file")
    table.validate(full=True)  # codes and offsets outside their arrays would be read as whatever lies there
    return QuestionTable(table, file)


def _reopen(file: Path, key: Mapping[bytes, bytes]) -> QuestionTable:
    with explained(f"{file} has changed since it was opened; start again", OSError, pa.ArrowException):
        return _open_copy(file, key)


def _single_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _build_table(
    path: Path, rows: Iterable[Row], extra_columns: Mapping[str, pa.DataType], is_flag: Callable[[str], bool]
) -> pa.Table:
    """Checks the rows and packs them by column, holding only one chunk of them as Python objects."""
    types = {"qid": pa.large_string(), "question": pa.large_string(), **extra_columns}
    answers: dict[str, int] = {}
    videos: dict[str, int] = {}
    answer_codes, video_codes = array("i"), array("i")
    chunks: list[pa.Table] = []
    pending: list[Row] = []

    def pack() -> None:
        layouts = {tuple(row) for _, row in pending}
        flags = dict.fromkeys((name for layout in layouts for name in layout if is_flag(name)), pa.bool_())
        columns = {
            name: pa.array([row.get(name) for _, row in pending], kind) for name, kind in {**types, **flags}.items()
        }
        chunks.append(pa.table(columns))
        pending.clear()

    for where, row in rows:
        problem = text_problem(row, _TEXT_COLUMNS, may_be_empty="answer")  # unknown where nobody has annotated it
        if problem is None and (video_id := row["video_id"]) not in videos:
            problem = video_id_problem(video_id)
        if problem is not None:
            raise InputError(f"{path}, {where}: {problem}")
        video_codes.append(videos.setdefault(video_id, len(videos)))
        answer_codes.append(answers.setdefault(row["answer"], len(answers)))
        pending.append((where, row))
        if len(pending) == _ROWS_PER_CHUNK:
            pack()
    if pending:
        pack()
    if not chunks:
        raise InputError(f"{path} has no questions")
    table = pa.concat_tables(chunks, promote_options="default")
    _check_unique(path, table.column("qid"))
    for name, codes, values in (("answer", answer_codes, answers), ("video_id", video_codes, videos)):
        indices = pa.array(np.frombuffer(codes, dtype=np.int32))
        table = table.append_column(name, pa.DictionaryArray.from_arrays(indices, pa.array(list(values), pa.string())))
    for name, kind in extra_columns.items():
        if pa.types.is_string(kind):
            position = table.column_names.index(name)
            table = table.set_column(position, name, table.column(name).dictionary_encode())
    return table.unify_dictionaries().combine_chunks()


def _check_unique(path: Path, qids: pa.ChunkedArray) -> None:
    if pc.count_distinct(qids).as_py() == len(qids):
        return
    counts = pc.value_counts(qids)
    repeated = [*map(repr, counts.filter(pc.greater(counts.field("counts"), 1)).field("values").to_pylist())]
    raise InputError(f"{path}: {len(repeated)} question id(s) occur more than once: {first_few(repeated)}")
