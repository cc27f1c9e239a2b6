"""Hundreds of broken inputs: each is refused in one clear line, or read as what it says, or listed as broken.

bash scripts/test.sh tests/faults/test_broken_inputs.py -m slow -s -n 0     prints the table of docs/robustness.md
"""

from collections import Counter

import numpy as np
import pytest

from tests.kit.small_world import make_small_world

from .broken_media import h5_cases, jpg_cases, mp4_cases, png_cases
from .broken_runs import checkpoint_cases, word_cases
from .broken_text import (
    copy_cases,
    csv_cases,
    json_cases,
    prediction_cases,
    tsv_cases,
    vocabulary_cases,
)
from .cases import in_child, try_case

pytestmark = pytest.mark.slow

KINDS = {
    "csv annotations": csv_cases,
    "json annotations": json_cases,
    "tsv annotations": tsv_cases,
    "copy of annotations": copy_cases,
    "vocabulary": vocabulary_cases,
    "predictions": prediction_cases,
    "h5": h5_cases,
    "png": png_cases,
    "jpg": jpg_cases,
    "mp4": mp4_cases,
    "checkpoint": checkpoint_cases,
    "command line": word_cases,
}
# What is done to a copy of annotations must never show.
HARMLESS = {"copy of annotations"}
HEADINGS = {
    "refused": "one-line error",
    "listed": "documented skip",
    "as before": "unchanged result",
    "other content": "read as what it now says",
    "defect": "anything else",
}
SEED = 0


@pytest.fixture(scope="module")
def counts():
    """kind -> how many of its inputs had which outcome; printed at the end, as a table of Markdown."""
    found: dict[str, Counter] = {}
    yield found
    found["all"] = sum(found.values(), Counter())
    rows = [[kind, own.total(), *(own[state] for state in HEADINGS)] for kind, own in found.items()]
    lines = [["", "inputs", *HEADINGS.values()], ["---"] * (2 + len(HEADINGS))]
    lines += [[kind, *(f"{number:,}" for number in numbers)] for kind, *numbers in rows]
    print("", *(f"| {' | '.join(line)} |" for line in lines), sep="\n")


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
    if kind in HARMLESS:
        assert set(outcomes) == {"as before"}
    else:
        assert outcomes["refused"] + outcomes["listed"], "nothing is refused"
    assert not list(tmp_path.rglob("injected"))
