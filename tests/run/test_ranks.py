"""Two ranks with a process group that takes nothing but tensors of the device, as NCCL: training, validation, test."""

import json

import pytest

from tests.kit import captioned_world, small_world
from tests.kit.processes import ended_well, run_python, start

TWO = ("num_gpus=2", "per_gpu_batchsize=2")
SHORT = ("max_epoch=None", "max_steps=2", "warmup_steps=0", "val_check_interval=1", "checkpoint_steps=1")


@pytest.mark.parametrize("objective", ["qa", "trm"])
def test_only_tensors_of_the_device_go_over_the_group_of_the_devices(tmp_path, objective):
    if objective == "qa":
        words = small_world.settings(small_world.make_small_world(tmp_path), *SHORT, *TWO)
    else:
        words = captioned_world.settings(captioned_world.make_captioned_world(tmp_path), *SHORT, *TWO)
    like_nccl = ("-m", "tests.kit.like_nccl", *words)
    assert "validation after step 2" in ended_well(start(*like_nccl, "skip_bad_steps=1"))
    (last,) = tmp_path.rglob("last.ckpt")
    ended_well(start(*like_nccl, "test_only=True", f"load_path={last}"))
    predictions, _ = sorted(tmp_path.glob("result/*.json"))
    assert json.loads(predictions.read_text())


def test_fewer_videos_than_ranks(tmp_path):
    """Each question is still asked exactly once, in validation and in test."""
    world = small_world.make_small_world(tmp_path, num_videos=1)
    words = ("run.py", *small_world.settings(world, "max_epoch=1", "warmup_steps=0", *TWO))
    assert "validation after step 1" in ended_well(start(*words))
    (last,) = world.rglob("last.ckpt")
    assert "4 questions, accuracy" in ended_well(start(*words, "test_only=True", f"load_path={last}"))


@pytest.mark.parametrize(("split", "named"), [("train", "training questions"), ("val", "questions to validate")])
def test_fewer_questions_than_ranks_are_refused(tmp_path, split, named):
    world = small_world.make_small_world(tmp_path)
    path = world / "data" / f"{split}.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    done = run_python("run.py", *small_world.settings(world, *TWO))
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"error: 1 {named}" in done.stderr and "too few for 2 processes: use fewer" in done.stderr
