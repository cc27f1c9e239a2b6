"""Output whose encoding lacks characters: they are replaced, whatever prints them."""

import contextlib
import csv
import io
import json
import shutil

import h5py
import numpy as np
import pytest
from PIL import Image

import eval as evaluation
from config import markdown_table, run_command_line
from preproc import check_data, extract_frames
from tests.datasets.video.video_files import make_video
from tests.kit.processes import run_python

NAMES = ("\u0645\u06cc\u200c\u062e", "\u5168\u3000\u89d2", "Zo\u00eb")


def print_in(encoding, main, *arguments) -> tuple[int, str]:
    """The exit code of a command whose standard output has that encoding, and what it printed."""
    with io.TextIOWrapper(io.BytesIO(), encoding=encoding) as output:
        with contextlib.redirect_stdout(output):
            code = main([str(argument) for argument in arguments])
        output.flush()
        return code, output.buffer.getvalue().decode(encoding)


@pytest.fixture
def root(tmp_path):
    """A data root of ActivityNet-QA, of videos with such names; the first has no features."""
    root = tmp_path / "anetqa"
    for name in NAMES:
        (root / "frames" / f"v_{name}").mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(root / "frames" / f"v_{name}" / "0001.png")
    with (root / "test.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [(number, f"is it {name}", "yes", name, 3) for number, name in enumerate(NAMES)]
        csv.writer(file).writerows([("qid", "question", "answer", "video_id", "type"), *rows])
    with h5py.File(root / "anetqa.h5", "w") as file:
        for name in NAMES[1:]:
            file[name] = np.ones((2, 4), np.float32)
    return root


@pytest.mark.parametrize("encoding", ("ascii", "cp1252", "shift-jis"))
def test_scripts(root, tmp_path, encoding):
    code, text = print_in(encoding, check_data.main, root, "--task", "anetqa", "--splits", "test", "--width", 4)
    assert code == 1 and "e.g. " in text and "1 problems; all of them" in text
    assert f",{NAMES[0]}," in (root / "problems.csv").read_text(encoding="utf-8")
    make_video(tmp_path / "videos" / "a.mp4", 9)
    for name in NAMES:
        (tmp_path / "videos" / f"{name}.mp4").touch()
    arguments = (tmp_path / "videos", tmp_path / "frames", "--dataset", "agqa")
    code, text = print_in(encoding, extract_frames.main, *arguments)
    assert code == 0 and text.count(".mp4: the file is empty") == 3
    code, text = print_in(encoding, run_command_line, "print_keys")
    assert code == 0 and len(text.strip()) == len(markdown_table()) and "?" in text
    predictions = root / f"anetqa_by_{NAMES[2]}.json"
    predictions.write_text(json.dumps([{"qid": str(number), "answer": "yes"} for number in range(3)]))
    code, text = print_in(encoding, evaluation.main, "anet", predictions, root / "test.csv")
    assert code == 0 and "100.00" in text


def test_check_data_as_a_command(root):
    words = ("preproc/check_data.py", root, "--task", "anetqa", "--splits", "test", "--width", "4")
    done = run_python(*words, PYTHONIOENCODING="ascii")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    table = [line for line in done.stdout.splitlines() if line[0] in "+|"]
    assert {len(line) for line in table} == {120}
    assert [line.split("|")[1].strip() for line in table if "features  " in line] == ["x"]


def test_ask(toy_checkpoint, toy_video, tmp_path):
    video = shutil.copy(toy_video, tmp_path / f"{NAMES[0]}.mp4")
    words = ("ask", "with", f"load_path={toy_checkpoint}", f"video={video}", f"question=is it {NAMES[1]}")
    code, text = print_in("ascii", run_command_line, *words)
    assert code == 0 and "is it ???" in text and text.count(" % \n") == 10
