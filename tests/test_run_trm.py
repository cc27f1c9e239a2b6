"""Pre-training through run.py on the smallest data and network: train, be killed, resume, test, fine-tune."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import run
from config import run_command_line

from .captioned_world import WIDTH, WORDS, make_captioned_world
from .small_world import SIZES, make_small_world
from .small_world import settings as qa_settings
from .test_run import assert_same_run

ROOT = Path(run.__file__).parent


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads only get into each other's way on so small a network."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = make_captioned_world(tmp_path_factory.mktemp("world"))
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "vocab.txt").write_text("\n".join(WORDS))
    return folder


def start(arguments: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "run.py", *arguments],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def settings(world: Path, *more: str) -> list[str]:
    return [
        "with",
        "task_pretrain_trm",
        f"data_root={world}",
        f"tokenizer={world / 'tokenizer'}",
        f"log_dir={world / 'result'}",
        "answer_encoder=",
        "accelerator=cpu",
        "precision=32",
        "num_workers=0",
        "batch_size=8",
        "per_gpu_batchsize=4",
        "num_clips=3",
        "val_questions=20",
        "max_text_len=8",
        "max_steps=12",
        "warmup_steps=2",
        "val_check_interval=5",
        *SIZES,
        "head_width=8",
        f"input_video_embed_size={WIDTH}",
        *more,
    ]


@pytest.fixture(scope="module")
def trained(world) -> Path:
    """The checkpoints of an uninterrupted run."""
    assert run_command_line(settings(world, "exp_name=whole")) == 0
    return world / "result" / "whole_seed0" / "version_0" / "checkpoints"


def test_both_losses_are_logged(trained):
    columns = (trained.parent / "metrics.csv").read_text().splitlines()[0].split(",")
    for stage in ("train", "val"):
        assert {f"{stage}/{name}" for name in ("loss", "trm_loss", "align_loss", "accuracy")} <= set(columns)
    assert "val/accuracy_type4" in columns


def test_checkpoint_bears_published_names(trained):
    names = torch.load(trained / "last.ckpt", weights_only=True)["state_dict"].keys()
    assert {"tau", "vision_proj.weight", "video_head.2.weight", "visual_encoder.cls_token"} <= names
    assert not any(name.startswith(("model.", "frame_head.")) for name in names)


def test_counts_and_accuracy_by_type(world, trained, capsys):
    arguments = settings(world, f"load_path={trained / 'last.ckpt'}", "test_only=True")
    assert run_command_line(arguments) == 0
    counts = json.loads((world / "result/trm_by_whole_seed0_version_0_last.json").read_text())
    assert counts["all"]["questions"] == 40 == sum(own["questions"] for name, own in counts.items() if name != "all")
    table = capsys.readouterr().out
    assert f"{counts['after']['accuracy']:.2%}" in table
    assert "4  before" in table
    process = start([*arguments, "num_gpus=2", "overwrite=True"])
    assert process.communicate()[0].count("4  before") == 1
    assert process.returncode == 0
    assert json.loads((world / "result/trm_by_whole_seed0_version_0_last.json").read_text()) == counts


def test_killed_and_resumed_as_if_nothing_had_been(world, trained):
    name = "exp_name=killed"
    process = start(settings(world, name, "checkpoint_steps=1"))
    folder = world / "result" / "killed_seed0"
    deadline = time.monotonic() + 120
    while not list(folder.rglob("previous.ckpt")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.5))
    process.kill()
    process.communicate()
    assert run_command_line(settings(world, name, "checkpoint_steps=1", "resume_from=last")) == 0
    assert [path.name for path in folder.iterdir()] == ["version_0"]
    assert_same_run(folder / "version_0/checkpoints/last.ckpt", trained / "last.ckpt")


def test_resumed_run_sees_the_questions_it_would_have_seen(world, monkeypatch):
    from modules.objectives.temporal_referring import TemporalReferring

    seen: list[list[str]] = []
    original = TemporalReferring.training_step

    class Killed(BaseException):
        pass

    def step(module, batch, batch_idx, stop_at=None):
        if len(seen) == stop_at:
            raise Killed
        seen.append(batch["qids"])
        return original(module, batch, batch_idx)

    monkeypatch.setattr(TemporalReferring, "training_step", step)
    assert run_command_line(settings(world, "exp_name=seen")) == 0
    whole, seen = seen, []
    monkeypatch.setattr(TemporalReferring, "training_step", lambda *arguments: step(*arguments, stop_at=9))
    arguments = settings(world, "exp_name=resumed", "checkpoint_steps=1")
    with pytest.raises(Killed):
        run_command_line(arguments)
    monkeypatch.setattr(TemporalReferring, "training_step", step)
    assert run_command_line([*arguments, "resume_from=last"]) == 0
    # The last step had not been completed: its first half, which is seen again, is all that is repeated.
    assert seen[:9] == whole[:9]
    assert seen[9:] == whole[-len(seen[9:]) :]
    assert len(seen) - len(whole) in (0, 1, 2)


def test_fine_tuning_starts_from_pre_training(world, trained, tmp_path, capsys):
    qa_world = make_small_world(tmp_path / "qa")
    more = (f"load_path={trained / 'last.ckpt'}", "max_epoch=1", "exp_name=tuned", "learning_rate=1e-9")
    assert run_command_line(qa_settings(qa_world, *more)) == 0
    said = capsys.readouterr().out
    assert "temporal stream" in said
    before = torch.load(trained / "last.ckpt", weights_only=True)["state_dict"]
    after = torch.load(qa_world / "result/tuned_seed0/version_0/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    for name in (
        "temporal_embedding.proj.weight",
        "visual_encoder.cls_token",
        "ans_encoder.lm.embeddings.word_embeddings.weight",
    ):
        torch.testing.assert_close(after[name], before[name])


def test_two_processes_train_what_one_trains(world):
    # Adam would blow up the rounding of gradients that are zero.
    more = ("drop_rate=0.0", "optim_type=sgd", "learning_rate=0.01", "max_steps=3", "val_check_interval=3")
    process = start(settings(world, *more, "exp_name=two", "num_gpus=2", "per_gpu_batchsize=2"))
    assert run_command_line(settings(world, *more, "exp_name=one")) == 0
    said = process.communicate()[0]
    assert process.returncode == 0, said
    assert "sync_dist" not in said
    one, two = (
        torch.load(world / f"result/{name}_seed0/version_0/checkpoints/last.ckpt", weights_only=True)
        for name in ("one", "two")
    )
    assert two["global_step"] == one["global_step"] == 3
    for name, weight in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][name], weight, rtol=1e-5, atol=1e-6, msg=name)
    scores = [next(iter(checkpoint["callbacks"].values()))["best_score"] for checkpoint in (one, two)]
    assert scores[0] == pytest.approx(scores[1])
