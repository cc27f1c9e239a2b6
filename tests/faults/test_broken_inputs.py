"""Hundreds of broken inputs: each is refused in one clear line, or read as what it says, or listed as broken.

python -m pytest tests/faults/test_broken_inputs.py -m slow -s     prints the table that the README quotes
"""

from collections import Counter

import numpy as np
import pytest

from tests.small_world import make_small_world

from .broken_media import h5_cases, jpg_cases, mp4_cases, png_cases
from .broken_runs import checkpoint_cases, word_cases
from .broken_text import csv_cases, json_cases, prediction_cases, vocabulary_cases
from .cases import STATES, in_child, try_case

pytestmark = pytest.mark.slow

KINDS = {
    "csv": csv_cases,
    "json annotations": json_cases,
    "vocabulary": vocabulary_cases,
    "predictions": prediction_cases,
    "h5": h5_cases,
    "png": png_cases,
    "jpg": jpg_cases,
    "mp4": mp4_cases,
    "checkpoint": checkpoint_cases,
    "command line": word_cases,
}
SEED = 0


@pytest.fixture(scope="module")
def counts():
    """kind -> how many of its inputs had which outcome; printed at the end."""
    found: dict[str, Counter] = {}
    yield found
    print(f"\n\n{'':18}{'inputs':>8}" + "".join(f"{state:>15}" for state in STATES))
    found["all"] = sum(found.values(), Counter())
    for kind, own in found.items():
        print(f"{kind:18}{own.total():>8}" + "".join(f"{own[state]:>15}" for state in STATES))


@pytest.mark.parametrize("kind", KINDS)
def test_broken(kind, counts, tmp_path):
    world = make_small_world(tmp_path / "world")
    random = np.random.default_rng([SEED, *kind.encode()])
    outcomes, defects = Counter(), []
    known: dict[object, str] = {}
    for case in KINDS[kind](world, random):
        if case.before is None and case.read not in known:
            state, known[case.read] = in_child(case.read)
            assert state == "read", known[case.read]
        outcome = try_case(case, known[case.read] if case.before is None else case.before)
        outcomes[outcome.state] += 1
        if outcome.state == "defect":
            defects.append(f"{case.what}: {outcome.said}")
    counts[kind] = outcomes
    assert not defects, "\n\n".join([f"{len(defects)} of {outcomes.total()}", *defects])
    assert outcomes["refused"] + outcomes["listed"], "nothing is refused"
    assert not list(tmp_path.rglob("injected"))
