"""Prediction files of other projects: read by id, never scored against the truth they bring, and written for them."""

import json
import os

import pytest

from preproc.preproc_anetqa import preprocess

from ..results import write_answers, write_json, write_truth

ROWS = [("a_1", "what", "red", "v1", 8), ("a_2", "where", "sea", "v1", 8)]
ROWS += [("b_1", "is it", "yes", "v2", 8), ("b_2", "who", "man", "w", 8)]
GIVEN = {"a_1": "red", "a_2": "sky", "b_1": "yes", "b_2": "man"}  # three of four


@pytest.fixture
def truth(tmp_path):
    return write_truth(tmp_path / "test.csv", ROWS)


def official(qid, answer):
    return {"question_id": qid, "answer": answer}


def video_chatgpt(qid, answer, true="wrong truth"):
    return {"id": qid, "question": "what", "answer": true, "pred": answer}


def lmms_eval(qid, answer):
    document = {"video_name": "v", "question": "what", "question_id": qid, "answer": "wrong truth", "type": 8}
    own = {"target": "wrong truth", "resps": [[answer + "."]], "filtered_resps": [answer]}
    return {"doc_id": 7, "doc": document, **own}


def write_lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def overall(out):
    return next(line.split()[1:] for line in out.splitlines() if line.split()[:1] == ["all"])


@pytest.mark.parametrize("write", [write_json, write_lines])
@pytest.mark.parametrize("form", [official, video_chatgpt, lmms_eval])
def test_read_by_id(truth, tmp_path, score, form, write):
    out, _ = score("anet", write(tmp_path / "p.json", [form(*one) for one in reversed(GIVEN.items())]), truth)
    assert overall(out) == ["4", "75.00"]
    claim = "p: takes another answer for the true one of 4 questions; scored against ours"
    assert (claim in out) == (form is not official)


def test_only_what_all_have_answered(truth, tmp_path, score):
    words = ["anet", write_answers(tmp_path / "ours.json", GIVEN), tmp_path / "theirs.jsonl", truth]
    write_lines(words[2], [video_chatgpt("b_1", "no"), video_chatgpt("a_2", "sea")])
    assert "2 missing" in score(*words)[0]
    out, data = score(*words, "--only-answered-by-all", "--report", tmp_path / "page.html")
    assert overall(out) == ["2", "50.00", "50.00"]
    assert "compared on the 2 of 4 questions that all files answer" in out and "missing" not in out
    assert (data["questions"], data["left_out"]) == (2, 2)
    assert [entry["scores"]["overall"]["all"]["correct"] for entry in data["predictions"]] == [1, 1]
    assert "2 questions about 2 videos, 2 models" in (tmp_path / "page.html").read_text()
    for qids, said in ((("a_1", "b_1"), "--only-answered-by-all: no question of"), (("z",), "1 unknown ('z')")):
        files = [write_answers(tmp_path / f"{qid}.json", {qid: "x"}) for qid in qids]
        assert said in score("anet", *files, truth, "--only-answered-by-all")[0]


@pytest.mark.parametrize(
    ("form", "record"),
    [
        ("official", {"question_id": "a_2", "answer": "sky"}),
        ("video-chatgpt", {"id": "a_2", "question": "where", "answer": "sea", "pred": "sky"}),
    ],
)
def test_export_is_read_back(truth, tmp_path, score, form, record):
    ours = write_answers(tmp_path / "ours.json", dict(reversed(GIVEN.items())))
    exported = tmp_path / f"ours_{form}.json"
    assert f"{form}: {exported}" in score("anet", ours, truth, "--export", form)[0]
    assert json.loads(exported.read_text())[1] == record
    out, _ = score("anet", exported, truth)
    assert overall(out) == ["4", "75.00"] and "takes another answer" not in out


@pytest.mark.skipif(
    not {"DEST_ANETQA_RAW", "DEST_ANETQA_VAL_EXAMPLE"} <= set(os.environ),
    reason="set DEST_ANETQA_RAW to the published annotations, DEST_ANETQA_VAL_EXAMPLE to val_example.json",
)
def test_published_example(tmp_path, score):
    preprocess(os.environ["DEST_ANETQA_RAW"], tmp_path)
    scores = score("anet", os.environ["DEST_ANETQA_VAL_EXAMPLE"], tmp_path / "val.csv")[1]["predictions"][0]["scores"]
    by_type = [round(one["accuracy"], 2) for one in scores["type"].values()]
    assert by_type == [18.78, 22.33, 3.50, 76.34, 33.67, 22.16, 28.75, 64.03, 35.80]
    assert round(scores["overall"]["all"]["accuracy"], 2) == 39.84
    (free,) = scores["official group"].values()
    assert (free["questions"], round(free["accuracy"], 2)) == (12_600, 50.55)
