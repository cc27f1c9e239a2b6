"""Scores of multiple choice: the official figures of NExT-QA's files, and what is wrong with others."""

import csv
import json
import os
from pathlib import Path

import pytest

import eval as evaluation
from tests.kit.paths import FIXTURES

NEXTQA = FIXTURES / "nextqa"
GROUPS = {"TN (with TP)": "TN TP", "C: causal": "CW CH", "T: temporal": "TP TN TC", "D: descriptive": "DC DL DO"}
# Of HGA on all of val.csv.
PUBLISHED = {"CW": 46.99, "CH": 44.22, "TN (with TP)": 49.53, "TC": 52.49, "DC": 44.07, "DL": 72.54, "DO": 55.41}
PUBLISHED |= {"C: causal": 46.26, "T: temporal": 50.74, "D: descriptive": 59.33, "all": 49.74}


def run(capsys, *arguments):
    code = evaluation.main(["next", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def scores_of(capsys, folder, tmp_path):
    """label -> accuracy, labels of types cut to their two letters."""
    target = tmp_path / "scores.json"
    code, out, err = run(capsys, folder / "HGA-val-predictions.json", folder / "val.csv", "--json", target)
    assert code == 0, err
    assert "takes another answer" not in out
    scores = json.loads(target.read_text())["predictions"][0]["scores"]
    found = {label[:2]: score["accuracy"] for label, score in scores["type"].items()}
    return found | {
        label: score["accuracy"] for title in scores if title != "type" for label, score in scores[title].items()
    }


def test_figures_of_a_published_model(capsys, tmp_path):
    given = json.loads((NEXTQA / "HGA-val-predictions.json").read_text())
    with (NEXTQA / "val.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = {kind: kind for kind in ("CW", "CH", "TP", "TN", "TC", "DC", "DL", "DO")} | GROUPS
    kinds["all"] = " ".join(kinds)
    found = scores_of(capsys, NEXTQA, tmp_path)
    assert found.keys() == kinds.keys()
    for label, own in kinds.items():
        right = [
            given[f"{row['video']}_{row['qid']}"]["prediction"] == int(row["answer"])
            for row in rows
            if row["type"] in own.split()
        ]
        assert found[label] == pytest.approx(100 * sum(right) / len(right)), label


@pytest.mark.skipif("DEST_NEXTQA_RAW" not in os.environ, reason="set DEST_NEXTQA_RAW to the published files")
def test_figures_of_the_whole_split(capsys, tmp_path):
    found = scores_of(capsys, Path(os.environ["DEST_NEXTQA_RAW"]), tmp_path)
    assert {label: round(found[label], 2) for label in PUBLISHED} == PUBLISHED


@pytest.mark.parametrize("given", [5, -1, "0", None, True, 1.0])
def test_a_prediction_that_is_no_index(capsys, tmp_path, given):
    records = json.loads((NEXTQA / "HGA-val-predictions.json").read_text())
    records["4010069381_6"]["prediction"] = given
    (tmp_path / "p.json").write_text(json.dumps(records))
    code, _, error = run(capsys, tmp_path / "p.json", NEXTQA / "val.csv")
    assert (code, error.count("\n")) == (2, 1)
    assert f"p.json, '4010069381_6': 'prediction' is {given!r}, not the index of a choice, 0 to 4" in error


def test_questions_that_are_not_there(capsys, tmp_path):
    records = json.loads((NEXTQA / "HGA-val-predictions.json").read_text())
    records["1_1"] = records.pop("4010069381_6")
    (tmp_path / "p.json").write_text(json.dumps(records))
    code, _, error = run(capsys, tmp_path / "p.json", NEXTQA / "val.csv")
    assert code == 2
    assert "1 missing ('4010069381_6'), 1 unknown ('1_1')" in error


def test_another_truth_and_answers_as_texts(capsys, tmp_path):
    """A file's own truth is compared, never scored against; a list of texts is taken as for open questions."""
    records = json.loads((NEXTQA / "HGA-val-predictions.json").read_text())
    records["4010069381_6"]["answer"] = 3
    (tmp_path / "p.json").write_text(json.dumps(records))
    texts = [{"qid": qid, "answer": "roll the handle"} for qid in records]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    code, out, _ = run(capsys, tmp_path / "p.json", tmp_path / "texts.json", NEXTQA / "val.csv")
    assert code == 0
    assert "p: takes another answer for the true one of 1 questions; scored against ours" in out
    (line,) = [line.split() for line in out.splitlines() if line.split()[:1] == ["all"]]
    assert float(line[3]) == pytest.approx(100 / 101, abs=0.01)


def test_exported_for_the_official_script(capsys, tmp_path):
    given = json.loads((NEXTQA / "HGA-val-predictions.json").read_text())
    (tmp_path / "p.json").write_text(json.dumps(given))
    code, _, error = run(capsys, tmp_path / "p.json", NEXTQA / "val.csv", "--export", "official")
    assert code == 0, error
    exported = json.loads((tmp_path / "p_official.json").read_text())
    assert exported == {qid: {key: record[key] for key in ("prediction", "answer")} for qid, record in given.items()}
