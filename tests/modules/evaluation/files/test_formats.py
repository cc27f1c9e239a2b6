"""Prediction files of other projects: read by id, never scored against the truth they bring, and written for them."""

import csv
import json
import os
from pathlib import Path

import pytest

import eval as evaluation
from preproc.preproc_anetqa import preprocess

ROWS = [
    ("a_1", "what", "red", "v1"),
    ("a_2", "where", "sea", "v1"),
    ("b_1", "is it", "yes", "v2"),
    ("b_2", "who", "man", "w"),
]
GIVEN = {"a_1": "red", "a_2": "sky", "b_1": "yes", "b_2": "man"}  # three of four


@pytest.fixture
def truth(tmp_path):
    with (tmp_path / "test.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["qid", "question", "answer", "video_id", "type"])
        writer.writerows([*row, 8] for row in ROWS)
    return tmp_path / "test.csv"


def official(qid, answer):
    return {"question_id": qid, "answer": answer}


def video_chatgpt(qid, answer):
    return {"id": qid, "question": "what", "answer": "wrong truth", "pred": answer}


def lmms_eval(qid, answer):
    document = {"video_name": "v", "question": "what", "question_id": qid, "answer": "wrong truth", "type": 8}
    own = {"target": "wrong truth", "resps": [[answer + "."]], "filtered_resps": [answer]}
    return {"doc_id": 7, "doc": document, **own}


def write(path, records, lines=False):
    path.write_text("\n".join(map(json.dumps, records)) + "\n" if lines else json.dumps(records), encoding="utf-8")
    return path


def run(capsys, *arguments):
    code = evaluation.main(["anet", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def overall(out):
    return next(line.split()[1:] for line in out.splitlines() if line.split()[:1] == ["all"])


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("form", [official, video_chatgpt, lmms_eval])
def test_read_by_id(truth, tmp_path, capsys, form, lines):
    records = [form(qid, answer) for qid, answer in reversed(GIVEN.items())]
    code, out, _ = run(capsys, write(tmp_path / "p.json", records, lines), truth)
    assert code == 0
    assert overall(out) == ["4", "75.00"]
    claim = "p: takes another answer for the true one of 4 questions; scored against ours"
    assert (claim in out) == (form is not official)


def test_truths_that_agree_are_not_mentioned(truth, tmp_path, capsys):
    records = [{**video_chatgpt(qid, GIVEN[qid]), "answer": answer} for qid, _, answer, _ in ROWS]
    for records[1]["answer"], told in (("sea", False), ("Sea", True)):
        out = run(capsys, write(tmp_path / "p.json", records), truth)[1]
        assert ("p: takes another answer for the true one of 1 questions" in out) == told


def test_a_response_that_is_no_list_and_ids_that_are_numbers(tmp_path, capsys):
    questions = [{"id": 3, "question": "what is it", "answer": "dog", "video_id": 1}]
    (tmp_path / "test_qa.json").write_text(json.dumps(questions))
    for record in (
        {"doc": {"id": 3}, "filtered_resps": "dog"},
        {"doc": {"id": 3}, "filtered_resps": [["dog"]]},
        {"id": 3, "question": "what is it", "answer": "dog", "pred": "dog"},
    ):
        path = write(tmp_path / "p.json", [record])
        assert evaluation.main(["msrvttqa", str(path), str(tmp_path / "test_qa.json")]) == 0
        assert overall(capsys.readouterr().out) == ["1", "100.00"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a_1", "pred": "x"}\n{"id": \n', "p.json, line 2: not valid JSON"),
        ('{"id": "a_1", "pred": "x"}\n[1]\n', "p.json is not a list of"),
        ('{"id": "a_1", "pred": "x"}\n{"id": "a_2"}\n', "p.json, prediction 1: 'answer' is None"),
        ('[{"pred": "x"}]', "p.json, prediction 0: 'qid' is None"),
        (
            '{"doc": {"question_id": "a_1"}, "filtered_resps": ["x", "y"]}',
            "prediction 0: 'answer' is ['x', 'y'], not text",
        ),
        ('{"doc": 3, "filtered_resps": ["x"]}', "prediction 0: 'qid' is None, not text"),
        ('{"a_1": {"answer": "x"}}', "p.json is not a list of"),
        ("[]", "p.json has no predictions"),
    ],
)
def test_what_cannot_be_read(truth, tmp_path, capsys, text, message):
    (tmp_path / "p.json").write_text(text)
    code, _, error = run(capsys, tmp_path / "p.json", truth)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1


def test_only_what_all_have_answered(truth, tmp_path, capsys):
    ours = write(tmp_path / "ours.json", [{"qid": qid, "answer": answer} for qid, answer in GIVEN.items()])
    theirs = write(tmp_path / "theirs.jsonl", [video_chatgpt("b_1", "no"), video_chatgpt("a_2", "sea")], lines=True)
    assert run(capsys, ours, theirs, truth)[0] == 2
    capsys.readouterr()
    scores = tmp_path / "s.json"
    code, out, _ = run(capsys, ours, theirs, truth, "--only-answered-by-all", "--json", scores)
    assert code == 0
    assert overall(out) == ["2", "50.00", "50.00"]
    assert "compared on the 2 of 4 questions that all files answer" in out
    assert "missing" not in out
    data = json.loads(scores.read_text())
    assert (data["questions"], data["left_out"]) == (2, 2)
    assert [entry["scores"]["overall"]["all"]["correct"] for entry in data["predictions"]] == [1, 1]
    page = tmp_path / "page.html"
    assert run(capsys, ours, theirs, truth, "--only-answered-by-all", "--report", page)[0] == 0
    assert "2 questions about 2 videos, 2 models" in page.read_text()


def test_nothing_that_all_have_answered_and_unknown_ids(truth, tmp_path, capsys):
    files = [write(tmp_path / f"{qid}.json", [official(qid, "x")]) for qid in ("a_1", "b_1", "z")]
    for given, said in ((files[:2], "--only-answered-by-all: no question of"), (files[2:], "1 unknown ('z')")):
        code, _, error = run(capsys, *given, truth, "--only-answered-by-all")
        assert code == 2 and said in error


@pytest.mark.parametrize("form", ["official", "video-chatgpt"])
def test_export_is_read_back(truth, tmp_path, capsys, form):
    ours = [{"qid": qid, "answer": answer, "answer10": [answer, "x"]} for qid, answer in reversed(GIVEN.items())]
    path = write(tmp_path / "ours.json", ours)
    code, out, _ = run(capsys, path, truth, "--export", form)
    assert code == 0
    exported = tmp_path / f"ours_{form}.json"
    assert f"{form}: {exported}" in out
    records = {
        "official": {"question_id": "a_2", "answer": "sky"},
        "video-chatgpt": {"id": "a_2", "question": "where", "answer": "sea", "pred": "sky"},
    }
    assert json.loads(exported.read_text())[1] == records[form]
    code, out, _ = run(capsys, exported, truth)
    assert overall(out) == ["4", "75.00"]
    assert "takes another answer" not in out


@pytest.mark.skipif(
    not {"DEST_ANETQA_RAW", "DEST_ANETQA_VAL_EXAMPLE"} <= set(os.environ),
    reason="set DEST_ANETQA_RAW to the published annotations, DEST_ANETQA_VAL_EXAMPLE to val_example.json",
)
def test_published_example(tmp_path, capsys):
    preprocess(os.environ["DEST_ANETQA_RAW"], tmp_path)
    example = Path(os.environ["DEST_ANETQA_VAL_EXAMPLE"])
    assert run(capsys, example, tmp_path / "val.csv", "--json", tmp_path / "s.json")[0] == 0
    scores = json.loads((tmp_path / "s.json").read_text())["predictions"][0]["scores"]
    by_type = [round(score["accuracy"], 2) for score in scores["type"].values()]
    assert by_type == [18.78, 22.33, 3.50, 76.34, 33.67, 22.16, 28.75, 64.03, 35.80]
    assert round(scores["overall"]["all"]["accuracy"], 2) == 39.84
