"""The made-up AGQA set is read like the published one, and the benchmark runs through."""

import json

import pytest

from benchmarks.agqa_scale import main, write_questions
from preproc.preproc_agqa import preprocess


def test_the_made_up_set_has_the_published_form(tmp_path):
    write_questions(tmp_path / "train_balanced.txt", 300, videos=20, seed=1)
    write_questions(tmp_path / "test_balanced.txt", 100, videos=10, seed=2)
    counts = preprocess(tmp_path, tmp_path / "out")
    assert counts["train"] + counts["val"] == 300
    assert (counts["val"], counts["test"]) == (30, 100)
    records = json.loads((tmp_path / "train_balanced.txt").read_text())
    assert len({record["video_id"] for record in records.values()}) == 20
    assert 800 < (tmp_path / "train_balanced.txt").stat().st_size / len(records) < 1300


@pytest.mark.slow
def test_the_benchmark_prints_every_figure(tmp_path, capsys):
    assert main(["--train", "2000", "--test", "500", "--dir", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    for name in ("preprocess: time", "preprocess: peak memory", "training table: opening", "own memory", "eval.py"):
        assert name in output
    assert list(tmp_path.iterdir()) == []
