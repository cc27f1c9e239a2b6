"""``probe=``: a file of predictions for each, in one pass over the data as in one pass each, on any number of ranks."""

import json

import pytest

from config import run_command_line
from datamodules.probes import PROBES
from modules.objectives.open_ended_qa import OpenEndedQA
from tests.kit.processes import start
from tests.kit.runs import train
from tests.kit.small_world import settings


@pytest.fixture(scope="module")
def words(world, trained):
    return settings(world, "test_only=True", f"load_path={trained / 'best.ckpt'}")


@pytest.fixture(scope="module")
def together(words, tmp_path_factory):
    """The folder of all probes' predictions, of one run."""
    folder = tmp_path_factory.mktemp("together")
    assert run_command_line([*words, f"log_dir={folder}", 'probe=["none", "all"]']) == 0
    return folder


def test_a_file_for_each_probe(together, world, words):
    name = "anetqa_by_whole_seed0_version_0_best"
    names = {f"{name}_{probe}.json" for probe in PROBES if probe != "none"} | {f"{name}.json"}
    assert {path.name for path in together.glob("*.json") if ".meta" not in path.suffixes} == names
    assert run_command_line([*words, f"log_dir={together / 'plain'}"]) == 0
    assert (together / "plain" / f"{name}.json").read_bytes() == (together / f"{name}.json").read_bytes()


def test_two_ranks_write_the_same(together, words, tmp_path):
    run = start("run.py", *words, "num_gpus=2", f"log_dir={tmp_path}", 'probe=["all", "none"]')
    said = run.communicate()[0]
    assert run.returncode == 0, said
    for path in together.glob("*.json"):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_together_and_alone_the_logits_are_the_same(words, tmp_path, monkeypatch):
    """And a set runs the image encoder for the frames of a video, one, none and those of another video alone."""
    original, logits, images = OpenEndedQA.score, {}, []

    def score(module, batch, kept=None):
        handle = module.model.visual_encoder.register_forward_hook(lambda _, args, __: images.append(len(args[0])))
        found = original(module, batch, kept)
        handle.remove()
        logits.setdefault(len(logits), []).append(found)
        return found

    monkeypatch.setattr(OpenEndedQA, "score", score)

    def run(folder, *probes):
        logits.clear()
        images.clear()
        assert run_command_line([*words, f"log_dir={tmp_path / folder}", f"probe={json.dumps(probes)}"]) == 0
        return [found[0] for found in logits.values()]

    together = run("together", *PROBES)
    assert sum(images) == 6 * (2 + 1 + 1 + 2)  # videos × frames
    number = len(together) // len(PROBES)
    for place, probe in enumerate(PROBES):
        alone = run(probe, probe)
        for one, other in zip(together[place :: len(PROBES)], alone, strict=True):
            assert (one - other).abs().max() < 1e-5, probe
        assert len(alone) == number


def test_what_a_probe_needs(world, words, trained, capsys):
    mean = train(world, "mean", "temporal=False", "max_steps=1", "max_epoch=None", "warmup_steps=0") / "checkpoints"
    on_mean = settings(world, "test_only=True", f"load_path={mean / 'last.ckpt'}", "overwrite=True")
    for arguments, message in (
        (
            settings(world, "probe=one_frame"),
            "probe=['one_frame'] is for testing question answering; add test_only=True",
        ),
        ([*words, "probe=reverse"], "probe must be a list, each entry one of all, none, reverse_clips"),
        ([*on_mean, "probe=freeze_clips"], "probe=freeze_clips: this model sees no clips (temporal=False)"),
    ):
        capsys.readouterr()
        assert run_command_line(arguments) == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
    assert run_command_line([*on_mean, "probe=all"]) == 0
    assert capsys.readouterr().out.count("predictions: ") == 6
    assert run_command_line([*on_mean[:-1], 'probe=["one_frame", "no_frames"]']) == 2
    assert "_one_frame.json exists; add overwrite=True" in capsys.readouterr().err
