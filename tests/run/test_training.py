"""Training through run.py on the smallest data and network: what it leaves, and what it says."""

import re

from config import run_command_line
from tests.kit.processes import run_python
from tests.kit.runs import assert_same_run, load, run_folder
from tests.kit.small_world import ANSWERS, settings


def test_what_it_leaves(trained, tmp_path):
    """Its settings make the same run."""
    assert {path.name for path in trained.iterdir()} == {"best.ckpt", "last.ckpt", "previous.ckpt"}
    checkpoint = load(trained / "last.ckpt")
    assert "frame_head.0.weight" in checkpoint["state_dict"]
    metadata = checkpoint["dest"]
    assert (metadata["vocabulary"], metadata["sizes"]["hidden_size"]) == (ANSWERS, 16)
    assert metadata["config"]["nframe"] == 2 and "[CLS]" in metadata["tokenizer_vocabulary"]
    assert run_command_line(["with", str(trained.parent / "hparams.yaml"), f"log_dir={tmp_path}"]) == 0
    assert_same_run(tmp_path / "whole_seed0/version_0/checkpoints/last.ckpt", trained / "last.ckpt")


def test_ways_to_save_memory(world, said):
    """In so few steps that there is no validation, which is told at the start."""
    few = ("max_steps=1", "max_epoch=None", "warmup_steps=0", "val_check_interval=1.0")
    output = said(settings(world, *few, "precision=bf16", "frozen_precision=bf16"))
    assert "no best.ckpt: val_check_interval=1.0 is more than its 1 steps" in output


def test_nothing_is_said_that_nobody_can_act_on(world, trained, tmp_path):
    words = settings(world, f"log_dir={tmp_path}", "max_epoch=1")
    for more in ([], ["test_only=True", f"load_path={trained / 'best.ckpt'}"]):
        done = run_python("run.py", *words, *more)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Warning" not in done.stdout


def test_log_reads_from_top_to_bottom(world, said):
    folder = re.escape(str(run_folder(world, "log")))
    expected = "no load_path: random weights\n20,816 parameters, 12,688 of them trained\n"
    expected += f"6 batches per epoch, 2 to a step; 6 steps in all\nlogs and checkpoints: {folder}\n"
    for epoch, step in ((0, 3), (1, 6)):
        expected += rf"epoch {epoch}  batch 6/6  step {step}  train/loss \S+  train/accuracy \S+\n"
        expected += rf"validation after step {step}  val/loss \S+  val/accuracy \S+\n"
    expected += rf"best val/accuracy \S+, after step \d: {folder}/checkpoints/best.ckpt\n"
    assert re.fullmatch(expected, said(settings(world, "exp_name=log")))
