"""Output whose encoding lacks characters: they are replaced, whatever prints them."""

import contextlib
import io
import json

import pytest

import eval as evaluation
from config import markdown_table, run_command_line
from preproc import check_data

NAMES = ("\u0645\u06cc\u200c\u062e", "\u5168\u3000\u89d2", "Zo\u00eb")


def print_in(encoding, main, *arguments) -> tuple[int, str]:
    """The exit code of a command whose standard output has that encoding, and what it printed."""
    with io.TextIOWrapper(io.BytesIO(), encoding=encoding) as output:
        with contextlib.redirect_stdout(output):
            code = main([str(argument) for argument in arguments])
        output.flush()
        return code, output.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ("ascii", "cp1252", "shift-jis"))
def test_scripts(tmp_path, encoding):
    rows = "".join(f"{number},is it {name},yes,{name},3\n" for number, name in enumerate(NAMES))
    (tmp_path / "test.csv").write_text(f"qid,question,answer,video_id,type\n{rows}", encoding="utf-8")
    words = (tmp_path, "--task", "anetqa", "--splits", "test", "--width", 4)
    code, text = print_in(encoding, check_data.main, *words)
    assert code == 1 and "e.g. " in text and "problems; all of them" in text
    assert {len(line) for line in text.splitlines() if line[0] in "+|"} == {120}
    code, text = print_in(encoding, run_command_line, "print_keys")
    assert code == 0 and len(text.strip()) == len(markdown_table()) and "?" in text
    predictions = tmp_path / f"anetqa_by_{NAMES[2]}.json"
    predictions.write_text(json.dumps([{"qid": str(number), "answer": "yes"} for number in range(3)]))
    code, text = print_in(encoding, evaluation.main, "anet", predictions, tmp_path / "test.csv")
    assert code == 0 and "100.00" in text
