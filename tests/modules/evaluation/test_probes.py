"""Probed predictions beside those of the model as it is, against plain loops."""

import json

import numpy as np
import pytest

from .results import make_results


def by_loops(truth, plain, under, kind):
    """Accuracy under the probe, drop, share of other answers, interval of the drop; in percent."""
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
    figures = [100 * count / sum(asked.values()) for count in (right, sum(gained.values()), flips)]
    return figures, np.percentile(ratios, [2.5, 97.5])


def test_figures_are_those_of_plain_loops(tmp_path, score):
    truth, (plain, *probed) = make_results(tmp_path, skills=(0.8, 0.4, 0.6))
    files = dict(zip(("shuffle_clips", "no_frames"), probed, strict=True))
    for probe, path in files.items():
        files[probe] = path.rename(plain.with_name(f"{plain.stem}_{probe}.json"))
    (tmp_path / f"{plain.stem}_all.json").write_text("no predictions of a probe")
    out, data = score("anet", plain, truth, "--probes")
    probes = data["predictions"][0]["probes"]
    assert probes.keys() == files.keys()
    for probe, path in files.items():
        for title, label, kind in (("type", "Motion", "0"), ("type", "Number", "7"), ("overall", "all", "all")):
            figures, interval = by_loops(truth, plain, path, kind)
            found = probes[probe][title][label]
            assert [found[name] for name in ("accuracy", "drop", "flipped")] == pytest.approx(figures)
            assert found["interval"] == pytest.approx(interval)
    (accuracy, drop, flipped), (low, high) = by_loops(truth, plain, files["shuffle_clips"], "all")
    printed = f"shuffle_clips {accuracy:.2f} {drop:+.2f} {low:+.2f} to {high:+.2f} {flipped:.2f}".split()
    assert out.rpartition("all questions")[2].split()[1:8] == printed
    for path in files.values():
        path.unlink()
    said = f"error: --probes: there is no {plain.with_suffix('')}_PROBE.json; scripts/probe.sh writes them\n"
    assert score("anet", plain, truth, "--probes") == (said, None)
