"""Hundreds of broken inputs: each is refused in one clear line, or read as what it says, or listed as broken.

bash scripts/test.sh tests/faults/test_broken_inputs.py -m slow -s -n 0     prints the table of docs/robustness.md
"""

from collections import Counter

import numpy as np
import pytest

from tests.kit.small_world import make_small_world

from .cases import OUTCOMES, in_child
from .inputs import KINDS


@pytest.fixture(scope="module")
def counts():
    """kind -> how many of its inputs had which outcome; printed at the end, as a table of Markdown."""
    found: dict[str, Counter] = {}
    yield found
    found["all"] = sum(found.values(), Counter())
    lines = [["input", "inputs", *OUTCOMES.values()], ["---"] * (2 + len(OUTCOMES))]
    lines += [[kind, f"{own.total():,}", *(f"{own[state]:,}" for state in OUTCOMES)] for kind, own in found.items()]
    print("", *(f"| {' | '.join(line)} |" for line in lines), sep="\n")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_broken(kind, counts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = KINDS[kind](make_small_world(tmp_path / "world"), np.random.default_rng([0, *kind.encode()]))
    outcomes, defects = Counter(), []
    state, before = in_child(given.read)
    assert state == "read", before
    for content in given.broken:
        given.path.write_bytes(content)
        outcome, said = given.judge(before)
        outcomes[outcome] += 1
        if outcome == "defect":
            defects.append(f"{content[:2000]}: {said}")
    counts[kind] = outcomes
    assert not defects, "\n\n".join([f"{len(defects)} of {outcomes.total()}", *defects])
    assert outcomes["refused"] + outcomes["listed"] and not list(tmp_path.rglob("injected"))
