"""Hundreds of broken inputs: each is refused in one clear line, or read as what it says, or listed as broken.

bash scripts/test.sh tests/faults/test_broken_inputs.py -m slow -s -n 0     prints the table of docs/robustness.md
"""

from collections import Counter

import numpy as np
import pytest

from tests.kit.small_world import make_small_world

from . import data_inputs, run_inputs
from .cases import OUTCOMES, in_child

pytestmark = pytest.mark.slow

KINDS = {
    "csv annotations": data_inputs.csv_inputs,
    "json annotations": data_inputs.json_inputs,
    "copy of annotations": data_inputs.copy_inputs,
    "vocabulary": data_inputs.vocabulary_inputs,
    "predictions": data_inputs.prediction_inputs,
    "h5": data_inputs.h5_inputs,
    "png": data_inputs.png_inputs,
    "jpg": data_inputs.jpg_inputs,
    "mp4": data_inputs.mp4_inputs,
    "checkpoint": run_inputs.checkpoint_inputs,
    "forged checkpoint": run_inputs.forged_inputs,
    "log": run_inputs.log_inputs,
    "settings": run_inputs.settings_inputs,
}


@pytest.fixture(scope="module")
def counts():
    """kind -> how many of its inputs had which outcome; printed at the end, as a table of Markdown."""
    found: dict[str, Counter] = {}
    yield found
    found["all"] = sum(found.values(), Counter())
    numbers = {kind: (own.total(), *(own[state] for state in OUTCOMES)) for kind, own in found.items()}
    rows = [[kind, *map("{:,}".format, own)] for kind, own in numbers.items()]
    lines = [["input", "inputs", *OUTCOMES.values()], ["---"] * (2 + len(OUTCOMES)), *rows]
    print("", *(f"| {' | '.join(line)} |" for line in lines), sep="\n")


@pytest.mark.parametrize("kind", KINDS)
def test_broken(kind, counts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    world = make_small_world(tmp_path / "world")
    outcomes, defects = Counter(), []
    for given in KINDS[kind](world, np.random.default_rng([0, *kind.encode()])):
        whole = given.path.read_bytes()
        state, before = in_child(given.read)
        assert state == "read", before
        for what, content in given.broken:
            given.path.write_bytes(content)
            outcome, said = given.judge(before)
            outcomes[outcome] += 1
            if outcome == "defect":
                defects.append(f"{given.path.name}: {what}: {said}")
        given.path.write_bytes(whole)
    counts[kind] = outcomes
    assert not defects, "\n\n".join([f"{len(defects)} of {outcomes.total()}", *defects])
    if kind == "copy of annotations":  # what is done to it must never show
        assert outcomes["as before"] == outcomes.total()
    else:
        assert outcomes["refused"] + outcomes["listed"], "nothing is refused"
    assert not list(tmp_path.rglob("injected"))
