"""What `eval.py` makes of scores: figures and thresholds, against plain loops over the files."""

import csv
import json

import numpy as np
import pytest

import eval as evaluation
from tests.modules.evaluation.results import make_results


def with_scores(folder, seed, **sizes):
    """Made-up results whose right answers are more confident; the truth, the file, and (score, is right) of each."""
    folder.mkdir()
    truth, (file,) = make_results(folder, skills=(0.6,), seed=seed, **sizes)
    with truth.open() as rows:
        true = {row["qid"]: row["answer"] for row in csv.DictReader(rows)}
    random = np.random.default_rng(seed)
    records, found = json.loads(file.read_text()), []
    for record in records:
        is_right = record["answer"] == true[record["qid"]]
        share = round(float(random.beta(6, 2) if is_right else random.beta(2.5, 3)), 5)
        record["scores10"] = [share, round((1 - share) * 0.5, 5), round((1 - share) * 0.2, 5)]
        found.append((share, is_right))
    file.write_text(json.dumps(records))
    return truth, file, found


@pytest.fixture
def splits(tmp_path):
    return with_scores(tmp_path / "test", 0, num_videos=80), with_scores(tmp_path / "val", 1, num_videos=80)


def test_thresholds_keep_to_their_risk_on_val(splits, tmp_path, capsys):
    (truth, file, here), (val_truth, val_file, there) = splits
    words = ["anet", file, truth, "--val", val_file, val_truth, "--json", tmp_path / "scores.json"]
    words += ["--report", tmp_path / "page.html"]
    assert evaluation.main([str(word) for word in words]) == 0
    confidence = json.loads((tmp_path / "scores.json").read_text())["predictions"][0]["confidence"]
    assert confidence["thresholds"]
    for one in confidence["thresholds"]:
        if one["threshold"] is None:
            continue
        risk = [not right for share, right in there if share >= one["threshold"]]
        assert 100 * sum(risk) / len(risk) <= one["risk"]
        wrong = [not right for share, right in here if share >= one["threshold"]]
        assert one["coverage"] == pytest.approx(100 * len(wrong) / len(here))
        assert one["wrong"] == pytest.approx(100 * sum(wrong) / len(wrong))
        assert one["interval"]["low"] <= one["wrong"] <= one["interval"]["high"]
    chosen = [one["threshold"] for one in confidence["thresholds"] if one["threshold"] is not None]
    assert chosen == sorted(chosen, reverse=True)
    assert confidence["calibration"]["accuracy"] == pytest.approx(100 * np.mean([right for _, right in here]))
    assert confidence["temperature"] > 0
    out, page = capsys.readouterr().out, (tmp_path / "page.html").read_text()
    assert f"{confidence['temperature']:.3f}" in out
    assert f"{confidence['calibration']['error']:.2f} (" in out
    assert f"<b>{confidence['calibration']['error']:.2f}</b>" in page
    assert 'id="confidence"' in page


def test_without_scores_there_is_nothing_to_say(tmp_path, capsys):
    truth, (file,) = make_results(tmp_path, skills=(0.6,))
    assert evaluation.main(["anet", str(file), str(truth), "--report", str(tmp_path / "page.html")]) == 0
    assert "calibration" not in capsys.readouterr().out
    assert 'id="confidence"' not in (tmp_path / "page.html").read_text()
    assert evaluation.main(["anet", str(file), str(truth), "--val", str(file), str(truth)]) == 2
    assert f"--val: {file} has no scores; predict the split again" in capsys.readouterr().err


@pytest.mark.parametrize(("scores", "is_taken"), [([0.5, 0.2, 0.1], True), ([0.5, 0.2], False), ([1.5, 0, 0], False)])
def test_scores_are_a_probability_for_each_answer(splits, capsys, scores, is_taken):
    (truth, file, _), _ = splits
    records = json.loads(file.read_text())
    records[3]["scores10"] = scores
    file.write_text(json.dumps(records))
    assert evaluation.main(["anet", str(file), str(truth)]) == (0 if is_taken else 2)
    assert ("prediction 3: 'scores10'" in capsys.readouterr().err) != is_taken


def test_val_needs_a_file_for_each(splits, capsys):
    (truth, file, _), (val_truth, _, _) = splits
    assert evaluation.main(["anet", str(file), str(truth), "--val", str(val_truth)]) == 2
    assert "--val takes a prediction" in capsys.readouterr().err
