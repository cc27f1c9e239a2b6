"""Scores of multiple choice: the official figures of NExT-QA's files, and what is wrong with others."""

import csv
import json
import os
from pathlib import Path

import pytest

from tests.kit.paths import FIXTURES

from .results import write_answers, write_json

TRUTH, GIVEN = (FIXTURES / "nextqa" / name for name in ("val.csv", "HGA-val-predictions.json"))
KINDS = ("CW", "CH", "TP", "TN", "TC", "DC", "DL", "DO")
GROUPS = {"TN (with TP)": "TN TP", "C: causal": "CW CH", "T: temporal": "TP TN TC", "D: descriptive": "DC DL DO"}
# Of HGA on all of val.csv.
PUBLISHED = {"CW": 46.99, "CH": 44.22, "TN (with TP)": 49.53, "TC": 52.49, "DC": 44.07, "DL": 72.54, "DO": 55.41}
PUBLISHED |= {"C: causal": 46.26, "T: temporal": 50.74, "D: descriptive": 59.33, "all": 49.74}


def accuracies(data):
    """Accuracy by label, labels of types cut to their two letters."""
    scores = data["predictions"][0]["scores"]
    groups = {label[:2] if title == "type" else label: one for title in scores for label, one in scores[title].items()}
    return {label: one["accuracy"] for label, one in groups.items()}


def test_figures_of_a_published_model(score):
    given = json.loads(GIVEN.read_text())
    with TRUTH.open(newline="") as file:
        right = [
            (row["type"], given[f"{row['video']}_{row['qid']}"]["prediction"] == int(row["answer"]))
            for row in csv.DictReader(file)
        ]
    out, data = score("next", GIVEN, TRUTH)
    found = accuracies(data)
    of_label = {kind: kind for kind in KINDS} | GROUPS | {"all": " ".join(KINDS)}
    assert "takes another answer" not in out and found.keys() == of_label.keys()
    for label, kinds in of_label.items():
        own = [is_right for kind, is_right in right if kind in kinds.split()]
        assert found[label] == pytest.approx(100 * sum(own) / len(own)), label


@pytest.mark.skipif("DEST_NEXTQA_RAW" not in os.environ, reason="set DEST_NEXTQA_RAW to the published files")
def test_figures_of_the_whole_split(score):
    raw = Path(os.environ["DEST_NEXTQA_RAW"])
    found = accuracies(score("next", raw / GIVEN.name, raw / TRUTH.name)[1])
    assert {label: round(found[label], 2) for label in PUBLISHED} == PUBLISHED


def test_another_truth_other_questions_and_answers_as_texts(score, tmp_path):
    """A file's own truth is compared, never scored against; a list of texts is taken as for open questions."""
    records = json.loads(GIVEN.read_text())
    expected = {qid: {key: record[key] for key in ("prediction", "answer")} for qid, record in records.items()}
    path = write_json(tmp_path / "p.json", records)
    assert score("next", path, TRUTH, "--export", "official")[1]
    assert json.loads((tmp_path / "p_official.json").read_text()) == expected
    texts = write_answers(tmp_path / "texts.json", dict.fromkeys(records, "roll the handle"))
    records["4010069381_6"]["answer"] = 3
    out, data = score("next", write_json(path, records), texts, TRUTH)
    assert "p: takes another answer for the true one of 1 questions; scored against ours" in out
    assert data["predictions"][1]["scores"]["overall"]["all"]["correct"] == 1
    records["1_1"] = records.pop("4010069381_6")
    error, _ = score("next", write_json(path, records), TRUTH)
    assert "1 missing ('4010069381_6'), 1 unknown ('1_1')" in error
