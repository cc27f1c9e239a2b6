"""`eval.py`: its table, its file of scores, and how every kind of mismatch is counted and named."""

import json

import pytest

import eval as evaluation
from tests.kit.processes import run_python


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
    return truth, [{"qid": row[0], "answer": row[2], "answer10": [row[2], "x"]} for row in answers]


def run(capsys, *arguments):
    code = evaluation.main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def rows_of(table):
    return {line.split()[0]: line.split()[1:] for line in table.splitlines() if line.strip()}


def test_several_predictions_side_by_side_and_as_data(anet, tmp_path, capsys):
    truth, predictions = anet
    partly = [*predictions[:3], predictions[3] | {"answer": "dog", "answer10": ["dog", "cat"]}]
    _, out, _ = run(capsys, "anet", write(tmp_path / "partly.json", partly), truth)
    rows = {"anetqa": ["questions", "accuracy", "accuracy@10"], "Object": ["2", "50.00", "100.00"]}
    rows |= {"Motion": ["no", "questions", "-", "-"], "all": ["4", "75.00", "100.00"]}
    assert rows.items() <= rows_of(out).items()
    wrong = write(tmp_path / "a[b]c.json", [{"qid": row["qid"], "answer": "x"} for row in predictions])
    paths = (tmp_path / "partly.json", wrong, "--json", tmp_path / "scores.json", truth)
    code, out, _ = run(capsys, "anetqa", *paths)
    assert code == 0 and rows_of(out)["partly"] == ["partly", "a[b]c"]
    assert rows_of(out)["all"] == ["4", "75.00", "100.00", "0.00"]
    data = json.loads((tmp_path / "scores.json").read_text())
    first, second = data["predictions"]
    assert (data["dataset"], data["questions"], first["name"], second["name"]) == ("anetqa", 4, "partly", "a[b]c")
    assert first["scores"]["type"]["Object"] == {"questions": 2, "correct": 1, "accuracy": 50.0, "accuracy@10": 100.0}


def test_command_reads_well_in_a_pipe_and_needs_no_torch(anet, tmp_path):
    truth, predictions = anet
    paths = [write(tmp_path / f"{index}{'_long_name' * 6}.json", predictions) for index in range(5)]
    code = "import atexit, runpy, sys; atexit.register(lambda: print({'torch', 'scipy', 'cv2'} & {*sys.modules}))"
    done = run_python("-c", f"{code}; runpy.run_path('eval.py', run_name='__main__')", "anet", *paths, truth)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "set()", done.stderr
    assert all(path.stem in done.stdout for path in paths) and "\x1b" not in done.stdout  # not cut, not wrapped


def test_what_does_not_match_is_counted_and_named(anet, tmp_path, capsys):
    truth, rows = anet
    path = write(tmp_path / "p.json", [*rows[2:], rows[2], {**rows[0], "qid": "z"}])
    mismatch = "2 missing ('a', 'b'), 1 duplicate ('c'), 1 unknown ('z'); --allow-missing scores the others"
    said = f"error: {path}: question ids do not match the truth: {mismatch}\n"
    assert run(capsys, "anet", path, truth) == (2, "", said)
    write(path, rows[:3])
    code, out, _ = run(capsys, "anet", path, truth, "--allow-missing", "--json", tmp_path / "scores.json")
    assert code == 0 and rows_of(out)["all"] == ["4", "100.00", "100.00"]
    assert "p: 1 of 4 questions (25.0 %) are missing; its accuracies are over the others" in out
    scores = json.loads((tmp_path / "scores.json").read_text())["predictions"][0]
    assert (scores["missing"], scores["scores"]["overall"]["all"]["questions"]) == (1, 3)
    for words, said in ((("anot", path, truth), "'anot' (did you mean"), (("anet", "none.json", truth), "none.json ")):
        code, _, error = run(capsys, *words)
        assert code == 2 and error.startswith("error: ") and said in error
