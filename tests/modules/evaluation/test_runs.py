"""Models of several runs: names, means, spreads and intervals against loops, and the command's table."""

import json
import random

import numpy as np
import pytest

import eval as evaluation
from datasets.errors import InputError
from datasets.sources import anetqa
from modules.evaluation.runs import Model, RunStatistics, find_runs
from modules.evaluation.statistics.permutation import sign_flip_p_value

from .results import make_results

NUM_VIDEOS = 60


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A truth, six prediction files: runs of a weak model, and of a strong one."""
    folder = tmp_path_factory.mktemp("results")
    truth, files = make_results(folder, NUM_VIDEOS, skills=(0.45, 0.45, 0.45, 0.55, 0.55, 0.5))
    return truth, files[:5]


@pytest.fixture(scope="module")
def right(results):
    """bool [runs, N] by a loop, and the table."""
    truth, files = results
    table = anetqa.read_questions(truth)
    given = [{row["qid"]: row["answer"] for row in json.loads(file.read_text())} for file in files]
    found = [[answers[table.qid(row)] == table.answer(row) for row in range(len(table))] for answers in given]
    return np.array(found), table


MODELS = [Model("weak", [0, 1, 2]), Model("strong", [3, 4])]


@pytest.fixture(scope="module")
def statistics(right):
    correct, table = right
    return RunStatistics(table, MODELS, list(np.ones_like(correct)), list(correct))


def resample(correct, codes, models, mask, times, seed=5):
    """Draws videos and, of each model, runs, in plain loops; an accuracy for each model."""
    draw = random.Random(seed)
    questions = [np.flatnonzero((codes == video) & mask) for video in range(codes.max() + 1)]
    hits = correct[:, :].astype(int)
    found = []
    for _ in range(times):
        drawn = np.concatenate([draw.choice(questions) for _ in questions])
        accuracies = []
        for model in models:
            by_run = {run: 100 * hits[run][drawn].mean() for run in model.runs}
            mean = sum(by_run.values()) / len(by_run)
            runs = [draw.choice(model.runs) for _ in model.runs]
            off = sum(by_run[run] for run in runs) / len(runs) - mean
            accuracies.append(mean + off * (len(runs) / (len(runs) - 1)) ** 0.5)
        found.append(accuracies)
    return np.array(found)


def test_spreads(statistics, right):
    correct, table = right
    mask = anetqa.SOURCE.breakdowns[0].members(table)["Yes/No"]
    for chosen in (np.ones(len(table), dtype=bool), mask):
        loop = resample(correct, table.video_codes, MODELS, chosen, 3000)
        for place, (model, spread) in enumerate(zip(MODELS, statistics.spreads(chosen), strict=True)):
            values = [100 * sum(correct[run][chosen]) / sum(chosen) for run in model.runs]
            mean = sum(values) / len(values)
            assert spread.mean == pytest.approx(mean)
            assert spread.sd == pytest.approx((sum((one - mean) ** 2 for one in values) / (len(values) - 1)) ** 0.5)
            low, high = np.percentile(loop[:, place], [2.5, 97.5])
            assert (spread.interval.low, spread.interval.high) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_difference(statistics, right):
    correct, table = right
    (difference,) = statistics.differences()
    assert (difference.first, difference.second) == ("weak", "strong")
    assert difference.points == pytest.approx(100 * (correct[3:].mean() - correct[:3].mean()))
    loop = resample(correct, table.video_codes, MODELS, np.ones(len(table), dtype=bool), 4000)
    differences = loop[:, 1] - loop[:, 0]
    low, high = np.percentile(differences, [2.5, 97.5])
    assert (difference.interval.low, difference.interval.high) == pytest.approx((low, high), abs=1.5)
    assert difference.detectable == pytest.approx(2.802 * differences.std(), rel=0.06)
    signs = np.random.default_rng(2).choice([-1, 1], (20_000, NUM_VIDEOS))
    gains = np.bincount(table.video_codes, weights=correct[3:].mean(0) - correct[:3].mean(0))
    p_value = np.mean(np.abs(signs @ gains) >= abs(gains.sum()) - 1e-9)
    assert difference.p_value == pytest.approx(p_value, abs=0.015)


def test_the_smallest_difference_is_found_in_four_cases_of_five():
    """Simulated: two models, new videos each time; then the same models, that much apart."""
    generator = np.random.default_rng(0)
    videos, questions = 200, 5
    codes = np.repeat(np.arange(videos), questions)

    def draw(apart):
        luck = np.repeat(generator.normal(0, 0.15, (2, videos)), questions, axis=1)
        return generator.random((2, len(codes))) < np.array([[0.4], [0.4 + apart]]) + luck

    class Table:
        video_codes, video_ids = codes, range(videos)

    answered = [np.ones(len(codes), dtype=bool)] * 2
    models = [Model("a", [0]), Model("b", [1])]
    detectable = np.mean(
        [RunStatistics(Table, models, answered, draw(0)).differences()[0].detectable for _ in range(6)]
    )
    p_values = []
    for _ in range(400):
        one, other = draw(detectable / 100).astype(int)
        p_values.append(sign_flip_p_value(np.bincount(codes, weights=other - one)))
    assert 0.72 < np.mean(np.array(p_values) < 0.05) < 0.87


def test_too_few_videos(right):
    correct, table = right
    statistics = RunStatistics(table, MODELS, list(np.zeros_like(correct)), list(np.zeros_like(correct)))
    assert [(one.mean, one.sd, one.interval) for one in statistics.spreads(np.ones(len(table), bool))] == [
        (None,) * 3
    ] * 2
    (difference,) = statistics.differences()
    assert (difference.points, difference.interval, difference.p_value, difference.detectable) == (None, None, 1, None)


def test_names(tmp_path):
    (tmp_path / "a=b.json").touch()
    files, names, models = find_runs(["x.json", "base=1.json,2.json", "trm=3.json", str(tmp_path / "a=b.json")])
    assert [str(file) for file in files] == ["x.json", "1.json", "2.json", "3.json", str(tmp_path / "a=b.json")]
    assert names == [None, "base 1", "base 2", "trm", None]
    assert models == [Model("", [0]), Model("base", [1, 2]), Model("trm", [3]), Model("", [4])]
    for word in ("base=", "base=a,,b", "=a.json"):
        with pytest.raises(InputError, match=r"does not name a model and its files, as in base=A1\.json,A2\.json"):
            find_runs([word])


def test_command(results, right, tmp_path, capsys):
    truth, files = results
    correct, _ = right
    words = [f"weak={files[0]},{files[1]},{files[2]}", f"strong={files[3]},{files[4]}"]
    outputs = ["--json", str(tmp_path / "s.json"), "--report", str(tmp_path / "page.html")]
    assert evaluation.main(["anet", *words, str(truth), *outputs]) == 0
    out = capsys.readouterr().out
    accuracies = 100 * correct.mean(axis=1)
    mean, sd = accuracies[:3].mean(), accuracies[:3].std(ddof=1)
    assert f" {mean:.2f} ± {sd:.2f} " in next(line for line in out.splitlines() if line.strip().startswith("all "))
    data = json.loads((tmp_path / "s.json").read_text())
    assert [entry["name"] for entry in data["predictions"]] == ["weak 1", "weak 2", "weak 3", "strong 1", "strong 2"]
    assert [(model["name"], model["runs"]) for model in data["models"]][1] == ("strong", ["strong 1", "strong 2"])
    assert data["models"][0]["scores"]["overall"]["all"]["mean"] == pytest.approx(mean)
    (difference,) = data["differences"]
    assert f"strong - weak {difference['points']:+.2f} " in " ".join(out.split())
    page = (tmp_path / "page.html").read_text()
    assert f"<b>strong</b> − <b>weak</b>, over their runs: {difference['points']:+.2f} points" in page
    assert "is better than" not in page  # not one run than another of the same model
    assert f"<b>{mean:.2f}</b> ± {sd:.2f}" in page
    assert f"<b>{difference['points']:+.2f}</b>" in page
    assert evaluation.main(["anet", str(files[0]), str(truth)]) == 0
    assert "difference" not in capsys.readouterr().out  # of a single model
