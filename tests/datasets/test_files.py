import re

import pytest

from datasets.annotations import csv_rows, read_vocabulary
from datasets.errors import InputError
from datasets.frames import read_square
from datasets.json_stream import iterate_json_object

READERS = {
    "json": read_vocabulary,
    "csv": lambda path: list(csv_rows(path, ["qid"])),
    "json of records": lambda path: list(iterate_json_object(path)),
    "image": lambda path: read_square(path, 8),
}


@pytest.mark.parametrize("name", READERS)
def test_a_folder_and_a_missing_file_are_told(tmp_path, name):
    with pytest.raises(InputError, match=f"^cannot read {re.escape(str(tmp_path))}: Is a directory$"):
        READERS[name](tmp_path)
    with pytest.raises(InputError, match=r"nothing\b.*(does not exist|No such file)"):
        READERS[name](tmp_path / "nothing")
