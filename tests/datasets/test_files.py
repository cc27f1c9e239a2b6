import os
import re

import pytest

from datasets.annotations import csv_rows, read_vocabulary
from datasets.errors import InputError
from datasets.files import open_regular
from datasets.frames import read_square
from datasets.json_stream import iterate_json_object

READERS = {
    "json": read_vocabulary,
    "csv": lambda path: list(csv_rows(path, ["qid"])),
    "json of records": lambda path: list(iterate_json_object(path)),
    "image": lambda path: read_square(path, 8),
}


@pytest.mark.parametrize("name", READERS)
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path, name):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))} is not a regular file$"):
        READERS[name](path)


@pytest.mark.parametrize("name", READERS)
def test_a_folder_and_a_missing_file_are_told_as_before(tmp_path, name):
    with pytest.raises(InputError, match=f"^cannot read {re.escape(str(tmp_path))}: Is a directory$"):
        READERS[name](tmp_path)
    with pytest.raises(InputError, match=r"nothing\b.*(does not exist|No such file)"):
        READERS[name](tmp_path / "nothing")


def test_a_regular_file_is_opened_as_ever(tmp_path):
    (tmp_path / "text").write_text("é\r\n", encoding="utf-8", newline="")
    (tmp_path / "link").symlink_to("text")
    with open_regular(tmp_path / "link", encoding="utf-8", newline="") as file:
        assert file.read() == "é\r\n"
    with open_regular(tmp_path / "text", "rb") as file:
        assert file.read() == b"\xc3\xa9\r\n"
