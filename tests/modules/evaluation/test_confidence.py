"""What `eval.py` makes of scores: figures and thresholds, against plain loops over the files."""

import json

import numpy as np
import pytest

from .results import make_results, write_json


def with_scores(folder, seed):
    """Made-up results whose right answers are more confident; the truth, the file, and (score, is right) of each."""
    folder.mkdir()
    truth, (file,) = make_results(folder, 80, skills=(0.6,), seed=seed)
    true = dict(line.split(",")[:3:2] for line in truth.read_text().splitlines())
    random = np.random.default_rng(seed)
    records, found = json.loads(file.read_text()), []
    for record in records:
        is_right = record["answer"] == true[record["qid"]]
        share = round(float(random.beta(6, 2) if is_right else random.beta(2.5, 3)), 5)
        record["scores10"] = [share, round((1 - share) * 0.5, 5), round((1 - share) * 0.2, 5)]
        found.append((share, is_right))
    return truth, write_json(file, records), found


def test_thresholds_keep_to_their_risk_on_val(tmp_path, score):
    (truth, file, here), (val_truth, val_file, there) = (with_scores(tmp_path / str(seed), seed) for seed in (0, 1))
    page = tmp_path / "page.html"
    out, data = score("anet", file, truth, "--val", val_file, val_truth, "--report", page)
    confidence = data["predictions"][0]["confidence"]
    chosen = [one for one in confidence["thresholds"] if one["threshold"] is not None]
    assert chosen == sorted(chosen, key=lambda one: -one["threshold"]) != []
    for one in chosen:
        risk, wrong = ([not ok for share, ok in split if share >= one["threshold"]] for split in (there, here))
        assert 100 * np.mean(risk) <= one["risk"]
        assert one["coverage"] == pytest.approx(100 * len(wrong) / len(here))
        assert one["wrong"] == pytest.approx(100 * np.mean(wrong))
        assert one["interval"]["low"] <= one["wrong"] <= one["interval"]["high"]
    assert confidence["calibration"]["accuracy"] == pytest.approx(100 * np.mean([ok for _, ok in here]))
    error = f"{confidence['calibration']['error']:.2f}"
    assert f"{confidence['temperature']:.3f}" in out and f"{error} (" in out
    assert f"<b>{error}</b>" in page.read_text() and 'id="confidence"' in page.read_text()
    assert "--val takes a prediction" in score("anet", file, truth, "--val", val_truth)[0]
    records = json.loads(file.read_text())
    for records[3]["scores10"], is_taken in (([0.5, 0.2, 0.1], True), ([0.5, 0.2], False), ([1.5, 0, 0], False)):
        out, data = score("anet", write_json(file, records), truth)
        assert data if is_taken else "prediction 3: 'scores10'" in out
