"""``probe=``: a file of predictions for each, in one pass over the data as in one pass each, on any number of ranks."""

import json

import pytest

from datamodules.probes import PROBES
from modules.objectives.open_ended_qa import OpenEndedQA
from tests.kit.processes import ended_well, start
from tests.kit.small_world import settings


@pytest.fixture(scope="module")
def words(world, trained):
    return settings(world, "test_only=True", f"load_path={trained / 'best.ckpt'}")


def test_a_file_for_each_probe_and_the_same_from_two_ranks(words, tmp_path, said):
    both = start("run.py", *words, "num_gpus=2", f"log_dir={tmp_path / '2'}", 'probe=["all", "none"]')
    said([*words, f"log_dir={tmp_path / '1'}", 'probe=["none", "all"]'])
    ended_well(both)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / own).glob("*.json")} for own in "12")
    name = "anetqa_by_whole_seed0_version_0_best"
    names = {f"{name}_{probe}.json" for probe in PROBES if probe != "none"} | {f"{name}.json"}
    assert two == one and {name for name in one if ".meta" not in name} == names


def test_together_and_alone_the_logits_are_the_same(words, tmp_path, monkeypatch, said):
    original, logits = OpenEndedQA.score, []
    note = lambda *args, **options: (logits.append(original(*args, **options)), logits[-1])[1]  # noqa: E731
    monkeypatch.setattr(OpenEndedQA, "score", note)
    said([*words, f"log_dir={tmp_path / 'together'}", f"probe={json.dumps([*PROBES])}"])
    together = logits.copy()
    for place, probe in enumerate(PROBES):
        logits.clear()
        said([*words, f"log_dir={tmp_path / probe}", f"probe={probe}"])
        for one, other in zip(together[place :: len(PROBES)], logits, strict=True):
            assert (one - other).abs().max() < 1e-5, probe
