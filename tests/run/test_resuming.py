"""A run that was killed or stopped goes on as if nothing had been, or says why it cannot."""

import re
import signal

import pytest
import torch

from config import run_command_line
from modules.objectives.open_ended_qa import OpenEndedQA
from tests.kit.other_process import writer_elsewhere
from tests.kit.processes import start
from tests.kit.runs import assert_equal, assert_same_run, killed_run, load, rows, run_folder, train, weights
from tests.kit.small_world import make_small_world, settings


@pytest.fixture(scope="module", params=[None, 0.5, 2])
def whole(request, tmp_path_factory):
    """A run that nothing interrupted, its world and settings; validations amid an epoch and a step, too."""
    every, world, more = request.param, tmp_path_factory.mktemp("whole"), ("checkpoint_steps=1",)
    make_small_world(world, questions_each=3 if every else 4)  # of 3: 5 batches per epoch, thus 3 steps
    if every:
        more = (f"val_check_interval={every}", "max_epoch=4", "checkpoint_steps=2")
    return world, more, train(world, "whole", *more)


KILLS = {"training_step": [[1], [5], [8]], "validation_step": [[5], [12], [1, 2, 10, 1]]}


# Batches of each start, the last of which does not end.
@pytest.mark.parametrize(("hook", "kills"), [(hook, kills) for hook, all_kills in KILLS.items() for kills in all_kills])
def test_killed(whole, monkeypatch, hook, kills):
    world, more, run = whole
    name = f"{hook}{len(kills)}_{kills[0]}"
    words, folder = settings(world, f"exp_name={name}", *more), run_folder(world, name)
    for batches in kills:
        resume = ["resume_from=last"] if list(folder.rglob("*.ckpt")) else []
        killed_run([*words, *resume], monkeypatch, OpenEndedQA, batches, hook)
    is_too_early = not list(folder.rglob("*.ckpt"))
    assert run_command_line([*words, "resume_from=last"]) == (2 if is_too_early else 0)
    if not is_too_early:
        assert [path.name for path in folder.parent.iterdir()] == ["version_0"]
        assert_same_run(folder / "checkpoints/last.ckpt", run / "checkpoints/last.ckpt")
        assert_equal(weights(folder / "checkpoints/best.ckpt"), weights(run / "checkpoints/best.ckpt"))
        for row, other in zip(rows(folder), rows(run), strict=True):
            names = [name for name in other if not name.startswith(("speed/", "memory/"))]
            assert [row[name] for name in names] == [other[name] for name in names]


def test_loader_workers(world, trained, monkeypatch):
    words = settings(world, "exp_name=workers", "checkpoint_steps=1", "num_workers=1")
    killed_run(words, monkeypatch, OpenEndedQA, 5, "training_step")
    assert run_command_line([*words, "resume_from=last"]) == 0
    assert_same_run(run_folder(world, "workers") / "checkpoints/last.ckpt", trained / "last.ckpt")


def test_damaged_newest_falls_back(world, trained, monkeypatch, capsys, said):
    words = settings(world, "exp_name=damaged", "checkpoint_steps=1")
    killed_run(words, monkeypatch, OpenEndedQA, 11, "training_step")
    folder = run_folder(world, "damaged") / "checkpoints"
    newest, whole = folder / "last.ckpt", (folder / "previous.ckpt").read_bytes()
    newest.write_bytes(newest.read_bytes()[:-1000])
    killed_run([*words, "resume_from=last"], monkeypatch, OpenEndedQA, 2, "training_step")  # one checkpoint more
    warning = rf"^warning: {re.escape(str(newest))} is truncated or damaged.*; going back to the checkpoint before it$"
    assert re.search(warning, capsys.readouterr().out, re.MULTILINE)
    assert (folder / "previous.ckpt").read_bytes() == whole
    assert load(newest)["global_step"] == 5
    assert "warning" not in said([*words, "resume_from=last"])
    assert_same_run(newest, trained / "last.ckpt")


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_stopped(world, trained, number):
    """A checkpoint, exit code 75, and on to the same end."""
    words = settings(world, f"exp_name=signal{number}")
    process = start("run.py", *words)
    for line in process.stdout:
        if "logs and checkpoints" in line:
            process.send_signal(number)
    assert process.wait(600) == 75 and f"stopped by {number.name} after step" in line
    assert "continue with the same command and resume_from=last" in line
    assert run_command_line([*words, "resume_from=last"]) == 0
    assert_same_run(run_folder(world, f"signal{number}") / "checkpoints/last.ckpt", trained / "last.ckpt")


def test_a_folder_that_another_writes_is_refused(world, trained, said):
    before = {path: path.read_bytes() for path in trained.parent.rglob("*.*") if path.is_file()}
    with writer_elsewhere(trained.parent / ".lock") as other:
        error = said(settings(world, "exp_name=whole", "resume_from=last", "max_epoch=3"), 2)
    assert error.startswith(f"error: {trained.parent} is being written by process {other.pid} on ")
    assert {path: path.read_bytes() for path in before} == before


def test_a_finished_run_says_so(world, said):
    last = train(world, "finished", "max_epoch=1") / "checkpoints/last.ckpt"
    words = settings(world, "exp_name=finished", "max_epoch=1")
    for more, limit in (([f"resume_from={last}"], "max_epoch (it is 1)"), (["max_steps=3"], "max_steps (it is 3)")):
        output = said([*words, "resume_from=last", *more])
        assert f"{last} is of a run that has finished, after step 3" in output and limit in output
    output = said([*words, "resume_from=last", "max_epoch=2", "end_lr=1e-6"])
    told = re.search("^resumed with other settings than before: (.*)$", output, re.MULTILINE)[1]
    assert "max_epoch=2 (was " in told and "end_lr=1e-06 (was 0.0)" in told and "seed" not in told


@pytest.mark.parametrize(
    ("word", "was"), [("learning_rate=0.5", "2e-05"), ("freeze=[]", "['visual_encoder"), ("nframe=3", "2")]
)
def test_settings_that_would_be_passed_over_are_refused(world, trained, said, word, was):
    error = said(settings(world, f"resume_from={trained / 'last.ckpt'}", word), 2)
    assert error.startswith(f"error: {word.split('=')[0]} is {was}")


def test_checkpoints_that_are_refused(world, trained, tmp_path, said):
    assert str(world / "result/never_seed0") in said(settings(world, "exp_name=never", "resume_from=last"), 2)
    torch.save(weights(trained / "last.ckpt"), tmp_path / "weights.ckpt")
    words = settings(world, f"resume_from={tmp_path / 'weights.ckpt'}")
    assert f"load_path={tmp_path / 'weights.ckpt'}" in said(words, 2)
    path = make_small_world(tmp_path) / "data/vocab.json"
    path.write_text(path.read_text().replace("}", ', "before": 5}'))
    assert "5 answers" in said(settings(tmp_path, f"resume_from={trained / 'last.ckpt'}"), 2)
