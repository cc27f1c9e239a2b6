"""Models of several runs: names, means, spreads and intervals against loops, and the command's table."""

import json
import random

import numpy as np
import pytest
from scipy.stats import norm

from datasets.sources import anetqa
from modules.evaluation.runs import Model, RunStatistics

from .results import make_results

NUM_VIDEOS = 60
MODELS = [Model("weak", [0, 1, 2]), Model("strong", [3, 4])]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A truth, prediction files of three runs of a weak model and two of a strong one, and bool [runs, N] by a loop."""
    truth, files = make_results(tmp_path_factory.mktemp("r"), NUM_VIDEOS, skills=(0.45, 0.45, 0.45, 0.55, 0.55, 0.5))
    table = anetqa.read_questions(truth)
    given = [{row["qid"]: row["answer"] for row in json.loads(file.read_text())} for file in files[:5]]
    found = [[answers[table.qid(row)] == table.answer(row) for row in range(len(table))] for answers in given]
    return truth, files[:5], np.array(found), table


def resample(correct, codes, mask, times):
    """Draws videos and, of each model, runs, in plain loops; an accuracy for each model."""
    draw = random.Random(5)
    questions = [np.flatnonzero((codes == video) & mask) for video in range(codes.max() + 1)]
    found = []
    for _ in range(times):
        drawn = np.concatenate([draw.choice(questions) for _ in questions])
        accuracies = []
        for model in MODELS:
            by_run = {run: 100 * correct[run][drawn].mean() for run in model.runs}
            mean = sum(by_run.values()) / len(by_run)
            off = sum(by_run[draw.choice(model.runs)] for _ in model.runs) / len(by_run) - mean
            accuracies.append(mean + off * (len(by_run) / (len(by_run) - 1)) ** 0.5)
        found.append(accuracies)
    return np.array(found)


def test_spreads_and_difference(results):
    *_, correct, table = results
    statistics = RunStatistics(table, MODELS, list(np.ones_like(correct)), list(correct))
    for chosen in (anetqa.SOURCE.breakdowns[0].members(table)["Yes/No"], np.ones(len(table), dtype=bool)):
        loop = resample(correct, table.video_codes, chosen, 4000)
        for place, (model, spread) in enumerate(zip(MODELS, statistics.spreads(chosen), strict=True)):
            values = [100 * sum(correct[run][chosen]) / sum(chosen) for run in model.runs]
            mean = sum(values) / len(values)
            sd = (sum((one - mean) ** 2 for one in values) / (len(values) - 1)) ** 0.5
            assert (spread.mean, spread.sd) == pytest.approx((mean, sd))
            low, high = np.percentile(loop[:, place], [2.5, 97.5])
            assert (spread.interval.low, spread.interval.high) == pytest.approx((low, high), abs=0.1 * (high - low))
    (difference,) = statistics.differences()
    assert (difference.first, difference.second) == ("weak", "strong")
    assert difference.points == pytest.approx(100 * (correct[3:].mean() - correct[:3].mean()))
    differences = loop[:, 1] - loop[:, 0]
    interval = tuple(np.percentile(differences, [2.5, 97.5]))
    assert (difference.interval.low, difference.interval.high) == pytest.approx(interval, abs=1.5)
    deviations = norm.ppf(0.975) + norm.ppf(0.8)  # found at 5 % in four cases of five
    assert difference.detectable == pytest.approx(deviations * differences.std(), rel=0.06)
    signs = np.random.default_rng(2).choice([-1, 1], (20_000, NUM_VIDEOS))
    gains = np.bincount(table.video_codes, weights=correct[3:].mean(0) - correct[:3].mean(0))
    p_value = np.mean(np.abs(signs @ gains) >= abs(gains.sum()) - 1e-9)
    assert difference.p_value == pytest.approx(p_value, abs=0.015)
    none = list(np.zeros_like(correct))
    statistics = RunStatistics(table, MODELS, none, none)
    assert {(one.mean, one.sd, one.interval) for one in statistics.spreads(chosen)} == {(None, None, None)}
    (one,) = statistics.differences()
    assert (one.points, one.interval, one.p_value, one.detectable) == (None, None, 1, None)


def test_command(results, tmp_path, score):
    truth, files, correct, _ = results
    words = [f"weak={files[0]},{files[1]},{files[2]}", f"strong={files[3]},{files[4]}", truth]
    out, data = score("anet", *words, "--report", tmp_path / "page.html")
    accuracies = 100 * correct.mean(axis=1)
    mean, sd = accuracies[:3].mean(), accuracies[:3].std(ddof=1)
    assert f" {mean:.2f} ± {sd:.2f} " in next(line for line in out.splitlines() if line.strip().startswith("all "))
    assert [entry["name"] for entry in data["predictions"]] == ["weak 1", "weak 2", "weak 3", "strong 1", "strong 2"]
    assert (data["models"][1]["name"], data["models"][1]["runs"]) == ("strong", ["strong 1", "strong 2"])
    assert data["models"][0]["scores"]["overall"]["all"]["mean"] == pytest.approx(mean)
    points = f"{data['differences'][0]['points']:+.2f}"
    assert f"strong - weak {points} " in " ".join(out.split())
    page = (tmp_path / "page.html").read_text()
    said = f"<b>strong</b> − <b>weak</b>, over their runs: {points} points"
    assert all(text in page for text in (said, f"<b>{mean:.2f}</b> ± {sd:.2f}", f"<b>{points}</b>"))
    assert "is better than" not in page  # not one run than another of the same model
    out, data = score("anet", files[0], truth)
    assert data and "difference" not in out  # of a single model
