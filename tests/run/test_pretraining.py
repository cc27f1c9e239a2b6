"""Pre-training through run.py on the smallest data and network: train, be killed, resume, test, fine-tune."""

import json
from pathlib import Path

import pytest

from config import run_command_line
from modules.objectives.temporal_referring import TemporalReferring
from tests.kit import small_world
from tests.kit.captioned_world import make_captioned_world, settings
from tests.kit.processes import ended_well, start
from tests.kit.runs import assert_same_run, change_steps, killed_run, rows, run_folder, train, weights


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return make_captioned_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def trained(world) -> Path:
    """The checkpoints of an uninterrupted run."""
    return train(world, "whole", settings=settings) / "checkpoints"


def test_published_names_and_accuracy_by_type(world, trained, said):
    names = ("loss", "trm_loss", "align_loss", "accuracy")
    columns = {f"{stage}/{name}" for stage in ("train", "val") for name in names}
    assert columns | {"val/accuracy_type4"} <= set(rows(trained.parent)[0])
    assert {"tau", "vision_proj.weight", "video_head.2.weight"} <= weights(trained / "last.ckpt").keys()
    words = settings(world, f"load_path={trained / 'last.ckpt'}", "test_only=True")
    table, path = said(words), world / "result/trm_by_whole_seed0_version_0_last.json"
    counts = json.loads(path.read_text())
    assert counts["all"]["questions"] == 40 == sum(own["questions"] for name, own in counts.items() if name != "all")
    assert f"{counts['after']['accuracy']:.2%}" in table and "4  before" in table
    assert ended_well(start("run.py", *words, "num_gpus=2", "overwrite=True")).count("4  before") == 1
    assert json.loads(path.read_text()) == counts


@pytest.mark.parametrize("batches", [7, 12])
def test_killed_and_resumed_as_if_nothing_had_been(world, trained, monkeypatch, batches):
    """It sees the questions it would have seen, and ends with the same weights."""
    seen: list[list[str]] = []
    change_steps(monkeypatch, TemporalReferring, lambda _, step, batch: (seen.append(batch["qids"]), step())[1])
    train(world, "seen", settings=settings)
    whole = seen.copy()
    seen.clear()
    words = settings(world, f"exp_name=killed{batches}", "checkpoint_steps=1")
    killed_run(words, monkeypatch, TemporalReferring, batches, "training_step")
    assert run_command_line([*words, "resume_from=last"]) == 0
    assert_same_run(run_folder(world, f"killed{batches}") / "checkpoints/last.ckpt", trained / "last.ckpt")
    # The last step had not been completed: its first half, which is seen again, is all that is repeated.
    assert (seen[:batches], seen[batches:]) == (whole[:batches], whole[batches - len(seen) :])
    assert len(seen) - len(whole) in (0, 1, 2)


def test_fine_tuning_starts_from_pre_training(trained, tmp_path):
    world = small_world.make_small_world(tmp_path)
    tuned = train(world, "tuned", f"load_path={trained / 'last.ckpt'}", "max_epoch=1", "learning_rate=1e-9")
    before, after = weights(trained / "last.ckpt"), weights(tuned / "checkpoints/last.ckpt")
    for name in ("temporal_embedding.proj.weight", "ans_encoder.lm.embeddings.word_embeddings.weight"):
        assert after[name].allclose(before[name], rtol=1e-5, atol=1e-6)
