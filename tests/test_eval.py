"""`eval.py`: its table, its file of scores, and how every kind of mismatch is counted and named."""

import json
import subprocess
import sys

import pytest

import eval as evaluation
from tests.kit.paths import ROOT


def write(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


@pytest.fixture
def anet(tmp_path):
    """A truth of four questions, and right predictions for all of them."""
    truth = tmp_path / "test.csv"
    rows = ["a,what,red,v1,4", "b,where,sea,v1,6", "c,what,dog,v2,5", "d,what,cat,v2,5"]
    truth.write_text("\n".join(["qid,question,answer,video_id,type", *rows]) + "\n")
    answers = [row.split(",") for row in rows]
    predictions = [{"qid": row[0], "answer": row[2], "answer10": [row[2], "x"]} for row in answers]
    return truth, predictions


def run(capsys, *arguments):
    code = evaluation.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def rows_of(table):
    """label -> the cells that follow it."""
    lines = [line.split() for line in table.splitlines()]
    return {line[0]: line[1:] for line in lines if line}


def test_table(anet, tmp_path, capsys):
    truth, predictions = anet
    predictions[3].update(answer="dog", answer10=["dog", "cat"])
    code, out, _ = run(capsys, "anet", write(tmp_path / "p.json", predictions), truth)
    assert code == 0
    rows = rows_of(out)
    assert rows["anetqa"] == ["questions", "accuracy", "accuracy@10"]
    assert rows["Color"] == ["1", "100.00", "100.00"]
    assert rows["Object"] == ["2", "50.00", "100.00"]
    assert rows["Motion"] == ["no", "questions", "-", "-"]
    assert rows["all"] == ["4", "75.00", "100.00"]


def test_several_predictions_side_by_side_and_as_data(anet, tmp_path, capsys):
    truth, predictions = anet
    right = write(tmp_path / "right.json", predictions)
    wrong = write(tmp_path / "a[b]c.json", [{"qid": row["qid"], "answer": "x"} for row in predictions])
    code, out, _ = run(capsys, "anetqa", right, wrong, "--json", tmp_path / "scores.json", truth)
    assert code == 0
    assert rows_of(out)["right"] == ["right", "a[b]c"]
    assert rows_of(out)["all"] == ["4", "100.00", "100.00", "0.00"]
    data = json.loads((tmp_path / "scores.json").read_text())
    assert (data["dataset"], data["questions"]) == ("anetqa", 4)
    assert [(entry["name"], entry["missing"]) for entry in data["predictions"]] == [("right", 0), ("a[b]c", 0)]
    assert data["predictions"][0]["scores"]["type"]["Object"] == {
        "questions": 2,
        "correct": 2,
        "accuracy": 100.0,
        "accuracy@10": 100.0,
    }
    assert data["predictions"][1]["scores"]["type"]["Motion"] == {"questions": 0, "correct": 0, "accuracy": None}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[1:], "1 missing ('a'); --allow-missing scores the others"),
        (lambda rows: [*rows, rows[0]], "1 duplicate ('a')"),
        (lambda rows: [*rows, {**rows[0], "qid": "z"}], "1 unknown ('z')"),
        (
            lambda rows: [*rows[2:], rows[2], {**rows[0], "qid": "z"}],
            "2 missing ('a', 'b'), 1 duplicate ('c'), 1 unknown ('z')",
        ),
    ],
)
def test_mismatched_ids_are_counted_and_named(anet, tmp_path, capsys, change, message):
    truth, predictions = anet
    path = write(tmp_path / "p.json", change(predictions))
    code, out, error = run(capsys, "anet", path, truth)
    assert code == 2
    assert out == ""
    assert error.startswith(f"error: {path}: question ids do not match the truth: {message}")
    assert error.count("\n") == 1


def test_allow_missing(anet, tmp_path, capsys):
    truth, predictions = anet
    path = write(tmp_path / "p.json", predictions[:3])
    code, out, _ = run(capsys, "anet", path, truth, "--allow-missing", "--json", tmp_path / "scores.json")
    assert code == 0
    assert "p: 1 of 4 questions (25.0 %) are missing; its accuracies are over the others" in out
    assert rows_of(out)["all"] == ["4", "100.00", "100.00"]
    scores = json.loads((tmp_path / "scores.json").read_text())["predictions"][0]
    assert scores["missing"] == 1
    assert scores["scores"]["overall"]["all"]["questions"] == 3


def test_other_errors(anet, tmp_path, capsys):
    truth, predictions = anet
    path = write(tmp_path / "p.json", predictions)
    for arguments, message in (
        (("anot", path, truth), "no question-answering dataset named 'anot' (did you mean"),
        (("anet", tmp_path / "none.json", truth), "none.json does not exist"),
        (("anet", path, tmp_path / "none.csv"), "none.csv does not exist"),
        (("agqa", path, truth), "test.csv is not a JSON object of records"),
        (("anet", path, truth, "--json", tmp_path / "p.json" / "x"), "cannot write"),
    ):
        code, _, error = run(capsys, *arguments)
        assert code == 2
        assert error.startswith("error: ")
        assert message in error


def test_command_reads_well_in_a_pipe_and_needs_no_torch(anet, tmp_path):
    truth, predictions = anet
    paths = [write(tmp_path / f"{index}{'_long_name' * 6}.json", predictions) for index in range(5)]
    code = "import sys, runpy; runpy.run_path('eval.py', run_name='__main__')"
    check = f"import atexit, sys; atexit.register(lambda: print('torch' in sys.modules)); {code}"
    done = subprocess.run(
        [sys.executable, "-c", check, "anet", *paths, truth],
        cwd=ROOT,
        env={"PYTHONIOENCODING": "utf-8", "PATH": ""},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False"
    assert all(path.stem in done.stdout for path in paths)  # not cut, not wrapped
    assert "\x1b" not in done.stdout
