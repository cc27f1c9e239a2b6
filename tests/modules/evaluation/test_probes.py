"""Probed predictions beside those of the model as it is, against plain loops."""

import json

import numpy as np
import pytest

import eval as evaluation

from .results import make_results


@pytest.fixture
def results(tmp_path):
    """A truth, and a model's answers as it is, under two probes, and under none of its name."""
    truth, (plain, under, also) = make_results(tmp_path, skills=(0.8, 0.4, 0.6))
    files = {"shuffle_clips": under, "no_frames": also}
    for probe, path in files.items():
        files[probe] = path.rename(plain.with_name(f"{plain.stem}_{probe}.json"))
    (tmp_path / f"{plain.stem}_all.json").write_text("no predictions of a probe")
    return truth, plain, files


def by_loops(truth, plain, under, kind):
    """Accuracy under the probe, drop, interval of the drop, share of other answers; in percent."""
    rows = [line.split(",") for line in truth.read_text().splitlines()[1:]]
    names = list(dict.fromkeys(row[3] for row in rows))
    one, other = ({r["qid"]: r["answer"] for r in json.loads(path.read_text())} for path in (plain, under))
    gained, asked, right, flips = dict.fromkeys(names, 0), dict.fromkeys(names, 0), 0, 0
    for qid, _, answer, video, type_ in rows:
        if kind in (type_, "all"):
            gained[video] += (one[qid] == answer) - (other[qid] == answer)
            asked[video] += 1
            right += other[qid] == answer
            flips += one[qid] != other[qid]
    ratios = []
    for times in np.random.default_rng(0).multinomial(len(names), [1 / len(names)] * len(names), size=2000):
        drawn = [sum(int(time) * of[name] for time, name in zip(times, names, strict=True)) for of in (gained, asked)]
        ratios += [100 * drawn[0] / drawn[1]] if drawn[1] else []
    total = sum(asked.values())
    drop = 100 * sum(gained.values()) / total
    return 100 * right / total, drop, np.percentile(ratios, [2.5, 97.5]), 100 * flips / total


def test_figures_are_those_of_plain_loops(results, tmp_path, capsys):
    truth, plain, files = results
    arguments = ["anet", str(plain), str(truth), "--probes", "--json", str(tmp_path / "scores.json")]
    assert evaluation.main(arguments) == 0
    (model,) = json.loads((tmp_path / "scores.json").read_text())["predictions"]
    assert model["probes"].keys() == files.keys()
    for probe, path in files.items():
        for title, label, kind in (("type", "Motion", "0"), ("type", "Number", "7"), ("overall", "all", "all")):
            accuracy, drop, interval, flipped = by_loops(truth, plain, path, kind)
            found = model["probes"][probe][title][label]
            assert (found["accuracy"], found["drop"], found["flipped"]) == pytest.approx((accuracy, drop, flipped))
            assert found["interval"] == pytest.approx(interval)
    printed = capsys.readouterr().out.rpartition("all questions")[2].split()
    accuracy, drop, (low, high), flipped = by_loops(truth, plain, files["shuffle_clips"], "all")
    assert printed[1:8] == f"shuffle_clips {accuracy:.2f} {drop:+.2f} {low:+.2f} to {high:+.2f} {flipped:.2f}".split()


def test_without_a_file_of_a_probe(results, capsys):
    truth, plain, files = results
    for path in files.values():
        path.unlink()
    assert evaluation.main(["anet", str(plain), str(truth), "--probes"]) == 2
    assert capsys.readouterr().err == (
        f"error: --probes: there is no {plain.with_suffix('')}_PROBE.json; scripts/probe.sh writes them\n"
    )
