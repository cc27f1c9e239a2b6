"""The road through run.py on the smallest data and network: train, stop, resume, predict; and what goes wrong on it."""

import contextlib
import csv
import fcntl
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import h5py
import pytest
import torch

import run
from config import run_command_line
from modules.training.validation_schedule import ValidationSchedule

from .small_world import make_small_world, settings

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
    return make_small_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def trained(world) -> Path:
    """The checkpoints of an uninterrupted run."""
    assert run_command_line(settings(world, "exp_name=whole")) == 0
    return world / "result" / "whole_seed0" / "version_0" / "checkpoints"


def start(arguments: list[str], **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "run.py", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def assert_same_run(one: Path, other: Path) -> None:
    """Weights, optimizer and schedule equal to the last bit."""
    first, second = (torch.load(path, weights_only=True) for path in (one, other))
    assert first["global_step"] == second["global_step"]
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert_equal(first[part], second[part])
    scores = [next(iter(state["callbacks"].values())) for state in (first, second)]
    assert scores[0] == scores[1]


def assert_equal(one, other) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_equal(left, right)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


class TestTraining:
    def test_what_it_leaves(self, trained):
        names = {path.name for path in trained.iterdir()}
        assert names == {"best.ckpt", "last.ckpt", "previous.ckpt"}
        assert (trained.parent / "metrics.csv").read_text().count("\n") >= 3
        assert list(trained.parent.glob("events.out.tfevents.*"))

    def test_checkpoint_bears_published_names_and_what_inference_needs(self, trained):
        checkpoint = torch.load(trained / "last.ckpt", weights_only=True)
        assert "frame_head.0.weight" in checkpoint["state_dict"]
        metadata = checkpoint["dest"]
        assert metadata["vocabulary"] == ["red", "green", "blue", "yes", "no"]
        assert metadata["config"]["nframe"] == 2
        assert metadata["sizes"]["hidden_size"] == 16
        assert "[CLS]" in metadata["tokenizer_vocabulary"]

    def test_next_version_for_the_next_run(self, world, trained):
        assert run_command_line(settings(world, "exp_name=versions", "max_epoch=1")) == 0
        assert run_command_line(settings(world, "exp_name=versions", "max_epoch=1")) == 0
        assert (world / "result/versions_seed0/version_1/checkpoints/last.ckpt").exists()

    def test_fast_dev_run_writes_nothing(self, world):
        before = sorted((world / "result").rglob("*"))
        assert run_command_line(settings(world, "exp_name=dev", "fast_dev_run=True")) == 0
        assert sorted((world / "result").rglob("*")) == before

    @pytest.mark.parametrize("interval", ["100", "1.0"])
    def test_no_validation_is_told_at_the_start(self, world, capsys, interval):
        more = (f"val_check_interval={interval}", "max_steps=1", "max_epoch=None")
        assert run_command_line(settings(world, f"exp_name=never_{interval}", *more)) == 0
        said = f"no validation in this run, and no best.ckpt: val_check_interval={interval} is more than its 1 steps"
        assert said in capsys.readouterr().out

    def test_validation_interval_in_optimizer_steps(self, world):
        more = ("exp_name=interval", "val_check_interval=2", "max_steps=4", "max_epoch=None")
        assert run_command_line(settings(world, *more)) == 0
        metrics = (world / "result/interval_seed0/version_0/metrics.csv").read_text().splitlines()
        step = metrics[0].split(",").index("step")
        assert [line.split(",")[step] for line in metrics[1:]] == ["1", "3"]

    @pytest.mark.parametrize("more", [["precision=bf16"], ["grad_checkpointing=True"], ["frozen_precision=bf16"]])
    def test_ways_to_save_memory(self, world, more):
        assert run_command_line(settings(world, "exp_name=ways", "max_epoch=1", *more)) == 0

    def test_nothing_is_said_that_nobody_can_act_on(self, world, tmp_path):
        arguments = [*settings(world, "exp_name=quiet", "max_epoch=1"), f"log_dir={tmp_path}"]
        checkpoint = tmp_path / "quiet_seed0/version_0/checkpoints/best.ckpt"
        for more in ([], ["test_only=True", f"load_path={checkpoint}"]):
            done = subprocess.run(
                [sys.executable, "run.py", *arguments, *more],
                cwd=ROOT,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
                check=True,
            )
            assert done.stderr == ""
            assert "Warning" not in done.stdout

    def test_log_reads_from_top_to_bottom(self, world, capsys):
        assert run_command_line(settings(world, "exp_name=log")) == 0
        folder = re.escape(str(world / "result/log_seed0/version_0"))
        expected = [
            "no load_path: random weights",
            "20,816 parameters, 12,688 of them trained",
            "6 batches an epoch, 2 to a step; 6 steps in all",
            f"logs and checkpoints: {folder}",
            r"epoch 0  batch 6/6  step 3  train/loss \S+  train/accuracy \S+",
            r"validation after step 3  val/loss \S+  val/accuracy \S+",
            r"epoch 1  batch 6/6  step 6  train/loss \S+  train/accuracy \S+",
            r"validation after step 6  val/loss \S+  val/accuracy \S+",
            rf"best val/accuracy \S+, after step \d: {folder}/checkpoints/best.ckpt",
        ]
        assert re.fullmatch("\n".join(expected) + "\n", capsys.readouterr().out)

    def test_lines_and_a_bar_on_a_terminal(self, world):
        screen, terminal = os.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        command = [sys.executable, "run.py", *settings(world, "exp_name=terminal", "max_epoch=1")]
        process = subprocess.Popen(command, cwd=ROOT, stdout=terminal, stderr=terminal)
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while piece := os.read(screen, 1 << 16):
                shown += piece
        assert process.wait(600) == 0
        lines = re.split(r"[\r\n]+", shown.decode())
        for line in ("20,816 parameters, 12,688 of them trained", "6 batches an epoch, 2 to a step; 3 steps in all"):
            assert line in lines
        assert any(re.search(r"^Epoch 0: 100%.*6/6.*train/loss=", line) for line in lines)
        assert any(re.fullmatch(r"validation after step 3  val/loss \S+  val/accuracy \S+", line) for line in lines)
        assert any(line.startswith("best val/accuracy") for line in lines)


class TestCompiler:
    def test_a_missing_one_is_told_at_the_start(self, world, tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("CXX", "no-such-compiler")
        assert run_command_line(settings(world, "compile=True", f"log_dir={tmp_path / 'result'}")) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err == (
            "error: compile=True needs a C++ compiler, and CXX=no-such-compiler is no program: install one (Debian and "
            "Ubuntu: apt install g++), set CXX to one, or write compile=False\n"
        )


class TestObserver:
    def test_curves_and_settings_of_a_run(self, world, tmp_path):
        words = settings(world, "exp_name=observed", "log_dir=" + str(tmp_path / "result"), "max_epoch=12")
        assert run_command_line(["-F", str(tmp_path / "runs"), *words]) == 0
        metrics = json.loads((tmp_path / "runs/1/metrics.json").read_text())
        with (tmp_path / "result/observed_seed0/version_0/metrics.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        for name in ("train/loss", "val/accuracy", "lr/head", "speed/questions_per_second"):
            assert metrics[name]["steps"] == [int(row["step"]) for row in rows if row[name]]
            assert metrics[name]["values"] == pytest.approx([float(row[name]) for row in rows if row[name]])
        saved = tmp_path / "runs/1/config.json"
        again = ["with", str(saved), "exp_name=again", "max_epoch=1", "-F", str(tmp_path / "runs")]
        assert run_command_line(again) == 0
        assert json.loads((tmp_path / "runs/2/config.json").read_text())["nframe"] == 2
        assert "val/accuracy" in json.loads((tmp_path / "runs/2/metrics.json").read_text())

    def test_other_ranks_have_none(self, world, tmp_path, monkeypatch):
        monkeypatch.setenv("LOCAL_RANK", "1")
        words = settings(world, "exp_name=other", f"log_dir={tmp_path}", "max_epoch=1")
        assert run_command_line(["-F", str(tmp_path / "runs"), *words, "test_only=True"]) == 2
        assert not (tmp_path / "runs").exists()

    def test_settings_that_a_run_saved(self, world, trained, tmp_path):
        words = ["with", str(trained.parent / "hparams.yaml"), f"log_dir={tmp_path}"]
        assert run_command_line(words) == 0
        assert_same_run(tmp_path / "whole_seed0/version_0/checkpoints/last.ckpt", trained / "last.ckpt")


class TestValidationSchedule:
    def test_share_of_an_epoch_ends_it(self):
        schedule = ValidationSchedule(0.5)
        assert [step for step in range(1, 16) if schedule.is_due(99, step, 15)] == [8, 15]
        schedule = ValidationSchedule(1 / 3)
        assert [step for step in range(1, 8) if schedule.is_due(99, step, 7)] == [3, 5, 7]
        schedule = ValidationSchedule(1.0)
        assert [step for step in range(1, 8) if schedule.is_due(99, step, 7)] == [7]

    def test_more_shares_than_steps(self):
        assert all(ValidationSchedule(0.01).is_due(99, step, 3) for step in (1, 2, 3))

    def test_steps_go_on_over_epochs(self):
        schedule = ValidationSchedule(4)
        assert [step for step in range(1, 13) if schedule.is_due(step, 1, 7)] == [4, 8, 12]


class StopAfter:
    """Makes a run end as if killed, with no word to anyone, after so many batches."""

    def __init__(self, monkeypatch, batches: int, hook: str = "training_step"):
        from modules.objectives.open_ended_qa import OpenEndedQA

        original, self.left = getattr(OpenEndedQA, hook), batches

        def step(module, *arguments):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterruptLike
            return original(module, *arguments)

        monkeypatch.setattr(OpenEndedQA, hook, step)


class KeyboardInterruptLike(BaseException):
    """Not an Exception, so that nothing on the way treats it as an error of the run."""


def logged(run: Path) -> list[dict[str, str]]:
    """The rows of a run's log, without what depends on the machine and its hour."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{key: own for key, own in row.items() if not key.startswith(("speed/", "memory/"))} for row in rows]


class TestResume:
    @pytest.mark.parametrize("interval", [0.5, 2])
    @pytest.mark.parametrize(("hook", "batches"), [("training_step", 5), ("training_step", 8), ("validation_step", 14)])
    def test_validations_amid_an_epoch_and_amid_accumulation(self, tmp_path, monkeypatch, interval, hook, batches):
        world = make_small_world(tmp_path / "world", questions_each=3)  # 5 batches an epoch, thus 3 steps
        more = (f"val_check_interval={interval}", "max_epoch=4", "checkpoint_steps=2")
        assert run_command_line(settings(world, "exp_name=whole", *more)) == 0
        whole = world / "result/whole_seed0/version_0/checkpoints"
        self._killed(world, whole, monkeypatch, "killed", batches, hook, *more)

    @pytest.mark.parametrize("batches", [1, 3, 6, 7])
    def test_killed_in_training(self, world, trained, monkeypatch, batches):
        self._killed(world, trained, monkeypatch, f"training{batches}", batches, "training_step")

    @pytest.mark.parametrize("batches", [0, 4, 7])
    def test_killed_in_validation(self, world, trained, monkeypatch, batches):
        # One batch is the check before training.
        self._killed(world, trained, monkeypatch, f"validation{batches}", batches + 1, "validation_step")

    def _killed(self, world, trained, monkeypatch, name, batches, hook, *more):
        arguments = settings(world, f"exp_name={name}", *(more or ["checkpoint_steps=1"]))
        with monkeypatch.context() as patch:
            StopAfter(patch, batches, hook)
            with pytest.raises(KeyboardInterruptLike):
                run_command_line(arguments)
        folder = world / "result" / f"{name}_seed0"
        if not list(folder.rglob("*.ckpt")):
            assert run_command_line([*arguments, "resume_from=last"]) == 2  # too early: nothing to resume
            return
        assert run_command_line([*arguments, "resume_from=last"]) == 0
        assert [path.name for path in folder.iterdir()] == ["version_0"]
        assert_same_run(folder / "version_0/checkpoints/last.ckpt", trained / "last.ckpt")
        assert_equal(weights(folder / "version_0/checkpoints/best.ckpt"), weights(trained / "best.ckpt"))
        assert logged(folder / "version_0") == logged(trained.parent)

    def test_damaged_newest_falls_back(self, world, trained, monkeypatch, capsys):
        arguments = settings(world, "exp_name=damaged", "checkpoint_steps=1")
        with monkeypatch.context() as patch:
            StopAfter(patch, 11)
            with pytest.raises(KeyboardInterruptLike):
                run_command_line(arguments)
        folder = world / "result/damaged_seed0/version_0/checkpoints"
        newest = folder / "last.ckpt"
        newest.write_bytes(newest.read_bytes()[:-1000])
        whole = (folder / "previous.ckpt").read_bytes()
        with monkeypatch.context() as patch:
            StopAfter(patch, 2)  # one checkpoint more
            with pytest.raises(KeyboardInterruptLike):
                run_command_line([*arguments, "resume_from=last"])
        said = rf"^warning: {re.escape(str(newest))} is truncated or damaged.*; going back to the checkpoint before it$"
        assert re.search(said, capsys.readouterr().out, re.MULTILINE)
        assert (folder / "previous.ckpt").read_bytes() == whole
        assert torch.load(newest, weights_only=True)["global_step"] == 5
        assert run_command_line([*arguments, "resume_from=last"]) == 0
        assert "warning" not in capsys.readouterr().out
        assert_same_run(newest, trained / "last.ckpt")

    def test_a_folder_that_another_writes_is_refused(self, world, capsys):
        arguments = settings(world, "exp_name=taken", "max_epoch=1")
        assert run_command_line(arguments) == 0
        folder = world / "result/taken_seed0/version_0"
        before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
        hold = "import fcntl, os, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX);"
        hold += "f.write(f'{os.getppid()} here'); f.flush(); print(flush=True); input()"
        other = subprocess.Popen(
            [sys.executable, "-c", hold, folder / ".lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        other.stdout.readline()
        try:
            assert run_command_line([*arguments, "resume_from=last", "max_epoch=2"]) == 2
        finally:
            other.communicate(b"\n")
        said = (
            rf"error: {re.escape(str(folder))} is being written by process {os.getpid()} on \S+; wait for it or stop it"
        )
        assert re.fullmatch(said + "\n", capsys.readouterr().err)
        assert {path: path.read_bytes() for path in before} == before
        assert run_command_line([*arguments, "resume_from=last", "max_epoch=2"]) == 0

    def test_auto_continues_what_is_there(self, world, trained, capsys):
        arguments = settings(world, "exp_name=auto", "resume_from=auto")
        folder = world / "result/auto_seed0"
        assert run_command_line([*arguments, "max_epoch=1"]) == 0
        assert f"resume_from=auto: nothing to resume in {folder}; starting anew" in capsys.readouterr().out
        assert run_command_line(arguments) == 0
        assert "continuing after step 3" in capsys.readouterr().out
        (folder / "version_1").mkdir()  # a run that was stopped before its first checkpoint
        assert run_command_line([*arguments, "max_epoch=1"]) == 0
        assert "starting anew" in capsys.readouterr().out
        assert (folder / "version_2/checkpoints/last.ckpt").exists()

    def test_a_finished_run_says_so(self, world, capsys):
        arguments = settings(world, "exp_name=finished", "max_epoch=1")
        assert run_command_line(arguments) == 0
        capsys.readouterr()
        last = world / "result/finished_seed0/version_0/checkpoints/last.ckpt"
        for more in (["resume_from=last"], [f"resume_from={last}"], ["resume_from=last", "max_steps=3"]):
            assert run_command_line([*arguments, *more]) == 0
            said = capsys.readouterr().out
            length = "max_steps (it is 3)" if "max_steps=3" in more else "max_epoch (it is 1)"
            assert f"{last} is of a run that has finished, after step 3: nothing is left to do; to train it" in said
            assert f"give a larger {length}, to train anew, leave out resume_from" in said
        assert run_command_line([*arguments, "resume_from=last", "max_epoch=2"]) == 0
        assert "has finished" not in capsys.readouterr().out

    def test_nothing_to_resume(self, world, capsys):
        assert run_command_line(settings(world, "exp_name=never", "resume_from=last")) == 2
        assert "nothing to resume in" in capsys.readouterr().err

    def test_weights_alone_cannot_be_resumed(self, world, trained, tmp_path, capsys):
        path = tmp_path / "weights.ckpt"
        torch.save(weights(trained / "last.ckpt"), path)
        assert run_command_line(settings(world, f"resume_from={path}")) == 2
        assert f"give it as load_path={path}" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("word", "was"),
        [
            ("learning_rate=0.5", "2e-05"),
            ("optim_type=sgd", "'adamw'"),
            ("freeze=[]", "['visual_encoder"),
            ("temporal=False", "True"),
            ("nframe=3", "2"),
        ],
    )
    def test_settings_that_would_be_passed_over_are_refused(self, world, trained, capsys, word, was):
        assert run_command_line(settings(world, f"resume_from={trained / 'last.ckpt'}", word)) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"error: {word.split('=')[0]} is {was}")
        assert "in the run of" in error and error.count("\n") == 1

    def test_settings_that_may_change_are_told(self, world, trained, tmp_path, capsys):
        path = tmp_path / "last.ckpt"
        path.write_bytes((trained / "last.ckpt").read_bytes())
        words = [f"resume_from={path}", "exp_name=further", "max_epoch=5", "end_lr=1e-6"]
        assert run_command_line(settings(world, *words)) == 0
        lines = capsys.readouterr().out.splitlines()
        (told,) = (line for line in lines if line.startswith("resumed with other settings than before: "))
        assert "max_epoch=5 (was " in told and "end_lr=1e-06 (was 0.0)" in told and "seed" not in told

    def test_settings_of_a_checkpoint_are_checked(self, world, trained, tmp_path, capsys):
        checkpoint = torch.load(trained / "last.ckpt", weights_only=True)
        checkpoint["dest"]["config"]["nframe"] = "many"
        path = tmp_path / "odd.ckpt"
        torch.save(checkpoint, path)
        assert run_command_line(settings(world, "test_only=True", f"load_path={path}", "nframe=2")) == 0
        arguments = [word for word in settings(world, "test_only=True", f"load_path={path}") if "nframe" not in word]
        assert run_command_line(arguments) == 2
        said = "nframe must be a whole number ≥ 1 and ≤ 4096; got nframe='many' "
        said += f"(as {path} has it, unless the command line does)"
        assert said in capsys.readouterr().err

    def test_other_vocabulary_is_refused(self, world, trained, tmp_path, capsys):
        other = make_small_world(tmp_path / "other")
        vocabulary = json.loads((other / "data/vocab.json").read_text())
        (other / "data/vocab.json").write_text(json.dumps(vocabulary | {"before": 5}))
        assert run_command_line(settings(other, f"resume_from={trained / 'last.ckpt'}")) == 2
        assert "was trained on 5 answers" in capsys.readouterr().err


class TestSignals:
    @pytest.mark.usefixtures("heeds_ctrl_c")
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
    def test_checkpoint_then_exit_75_then_resumed_as_if_nothing_had_been(self, world, trained, number):
        name = f"exp_name=signal{number}"
        process = start(settings(world, name), OMP_NUM_THREADS="1")
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "logs and checkpoints" in line:
                process.send_signal(number)
        assert process.wait(600) == 75, "".join(lines)
        assert "continue with the same command and resume_from=last" in lines[-1]
        assert f"stopped by {number.name} after step" in lines[-1]
        assert not any("Traceback" in line for line in lines)
        assert run_command_line([*settings(world, name), "resume_from=last"]) == 0
        folder = world / f"result/signal{number}_seed0/version_0/checkpoints"
        assert_same_run(folder / "last.ckpt", trained / "last.ckpt")

    @pytest.mark.usefixtures("heeds_ctrl_c")
    def test_second_ctrl_c_stops_at_once(self):
        code = (
            "import os, signal, time; from modules.training.stopping import StopSignals; s = StopSignals();"
            "s.install();"
            "os.kill(os.getpid(), signal.SIGINT); print('alive', flush=True); os.kill(os.getpid(), signal.SIGINT);"
            "print('still alive', flush=True)"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600)
        assert (done.returncode, done.stdout) == (130, "alive\n")
        assert "once more to stop at once" in done.stderr


def finite_without_gradient(module) -> torch.Tensor:
    """0, whose gradient is not a number."""
    weight = next(weight for weight in module.parameters() if weight.requires_grad)
    return (0 * weight).sum().sqrt()


class TestFaults:
    def test_loss_not_finite(self, world, monkeypatch, capsys):
        from modules.objectives.open_ended_qa import OpenEndedQA

        original = OpenEndedQA.training_step

        def step(module, batch, batch_idx):
            loss = original(module, batch, batch_idx)
            return loss * float("nan") if module.global_step == 4 else loss

        monkeypatch.setattr(OpenEndedQA, "training_step", step)
        assert run_command_line(settings(world, "exp_name=nan", "checkpoint_steps=1")) == 2
        error = capsys.readouterr().err
        assert re.search(r"the loss is not finite at step 5 \(questions train\d_\d, .*\)", error)
        last = world / "result/nan_seed0/version_0/checkpoints/last.ckpt"
        assert f"the last good checkpoint is {last}" in error
        saved = torch.load(last, weights_only=True)
        assert saved["global_step"] == 4
        assert all(tensor.isfinite().all() for tensor in saved["state_dict"].values())

    @pytest.mark.parametrize("what", ["loss", "gradient"])
    def test_bad_steps_are_left_out_and_counted(self, world, monkeypatch, capsys, what):
        from modules.objectives.open_ended_qa import OpenEndedQA

        original, before = OpenEndedQA.training_step, []

        def step(module, batch, batch_idx):
            before.append({name: weight.clone() for name, weight in module.model.state_dict().items()})
            loss = original(module, batch, batch_idx)
            if batch_idx not in (1, 4):  # of the first step the second half, of the third step the first
                return loss
            return loss * float("nan") if what == "loss" else loss + finite_without_gradient(module)

        monkeypatch.setattr(OpenEndedQA, "training_step", step)
        arguments = settings(world, f"exp_name=skip_{what}", "max_epoch=1")
        assert run_command_line([*arguments, "skip_bad_steps=2"]) == 0
        said = capsys.readouterr().out
        named = r" \(questions train\d_\d, .*\)" if what == "loss" else ""
        for count, number in enumerate((1, 3), 1):
            told = (
                rf"step {number} is left out: its {what} is not finite{named}; {count} of at most 2 \(skip_bad_steps\)"
            )
            assert re.search(told, said), said
        folder = world / f"result/skip_{what}_seed0/version_0"
        assert len(before) == 6
        assert_equal(before[2], before[0])
        assert not torch.equal(before[4]["frame_head.0.weight"], before[2]["frame_head.0.weight"])
        assert_equal(weights(folder / "checkpoints/last.ckpt"), dict(before[4]))
        assert run_command_line([*arguments, "skip_bad_steps=1"]) == 2
        told = rf"the {what} is not finite at step 3{named}, after 1 that had been left out; "
        assert re.search(told, capsys.readouterr().err)

    def test_number_of_bad_steps_is_that_of_the_whole_run(self, world, monkeypatch, capsys):
        from modules.objectives.open_ended_qa import OpenEndedQA

        original = OpenEndedQA.training_step

        def step(module, batch, batch_idx):
            return original(module, batch, batch_idx) * (float("nan") if module.global_step in (0, 4) else 1)

        monkeypatch.setattr(OpenEndedQA, "training_step", step)
        arguments = settings(world, "exp_name=skip_resumed", "skip_bad_steps=1", "checkpoint_steps=1")
        assert run_command_line(arguments) == 2
        assert "is not finite at step 5" in capsys.readouterr().err
        assert run_command_line([*arguments, "resume_from=last"]) == 2
        assert "is not finite at step 5" in capsys.readouterr().err
        assert run_command_line([*arguments, "resume_from=last", "skip_bad_steps=2"]) == 0
        assert "step 5 is left out" in capsys.readouterr().out

    def test_ranks_leave_out_the_same_steps(self, tmp_path):
        """A video whose features are so large that they overflow: the loss of one rank is not a number."""
        world = make_small_world(tmp_path, num_videos=12, questions_each=2)
        with h5py.File(world / "data/anetqa.h5", "r+") as features:
            features["train3"][:] = 3e38
        # Adam would blow up the rounding of gradients that are zero.
        more = ("skip_bad_steps=9", "drop_rate=0.0", "optim_type=sgd", "learning_rate=0.01", "max_epoch=1")
        process = start([*settings(world, *more, "exp_name=two", "num_gpus=2", "per_gpu_batchsize=2")])
        assert run_command_line(settings(world, *more, "exp_name=one")) == 0
        said = process.communicate()[0]
        assert process.returncode == 0, said
        one, two = (
            torch.load(world / f"result/{name}_seed0/version_0/checkpoints/last.ckpt", weights_only=True)
            for name in ("one", "two")
        )
        assert [path.name for path in (world / "result/two_seed0").iterdir()] == ["version_0"]
        skipped = [next(iter(checkpoint["callbacks"].values()))["skipped"] for checkpoint in (one, two)]
        assert skipped[0] == skipped[1] == said.count("is left out") > 0
        assert skipped[0] < one["global_step"] == two["global_step"]
        for name, weight in one["state_dict"].items():
            torch.testing.assert_close(two["state_dict"][name], weight, rtol=1e-5, atol=1e-6, msg=name)

    def test_no_checkpoint_of_weights_that_are_not_finite(self, world, monkeypatch, capsys):
        from modules.objectives.open_ended_qa import OpenEndedQA

        original = OpenEndedQA.training_step

        def step(module, batch, batch_idx):
            loss = original(module, batch, batch_idx)
            return loss if module.global_step < 4 else loss + finite_without_gradient(module)

        monkeypatch.setattr(OpenEndedQA, "training_step", step)
        assert run_command_line(settings(world, "exp_name=nan_weights", "checkpoint_steps=1")) == 2
        last = world / "result/nan_weights_seed0/version_0/checkpoints/last.ckpt"
        said = f"the weights are not finite after step 5; the last good checkpoint is {last}; lower learning_rate"
        assert said in capsys.readouterr().err
        assert torch.load(last, weights_only=True)["global_step"] == 4

    @pytest.mark.parametrize("what", ["Disk", "Quota"])
    def test_disk_full_leaves_what_was_whole(self, world, monkeypatch, capsys, what):
        import errno

        from modules.training import checkpointing as run_checkpoints

        real, calls = run_checkpoints.torch.save, []
        number = errno.ENOSPC if what == "Disk" else errno.EDQUOT

        class Full:
            def __init__(self, file):
                self._file = file

            def write(self, data):
                raise OSError(number, os.strerror(number))

            def __getattr__(self, name):
                return getattr(self._file, name)

        def save(checkpoint, file):
            calls.append(1)
            if len(calls) == 3:
                file = Full(file)
            real(checkpoint, file)

        monkeypatch.setattr(run_checkpoints.torch, "save", save)
        assert run_command_line(settings(world, f"exp_name=full{what}", "checkpoint_steps=1")) == 2
        folder = world / f"result/full{what}_seed0/version_0/checkpoints"
        assert f"cannot write {folder / 'next.ckpt'}: {os.strerror(number)}" in capsys.readouterr().err
        assert sorted(path.name for path in folder.iterdir()) == ["last.ckpt", "previous.ckpt"]
        for path in folder.iterdir():
            torch.load(path, weights_only=True)


class TestLongTexts:
    def test_are_cut_to_the_positions_there_are(self, tmp_path):
        world = make_small_world(tmp_path)
        long = "red " * 40  # the network has 16 positions
        for split in ("train", "val", "test"):
            path = world / f"data/{split}.csv"
            path.write_text(path.read_text().replace("is the shape red", long))
        vocabulary = json.loads((world / "data/vocab.json").read_text())
        (world / "data/vocab.json").write_text(json.dumps(vocabulary | {long: len(vocabulary)}))
        assert run_command_line(settings(world, "max_epoch=1", "exp_name=long")) == 0
        checkpoint = world / "result/long_seed0/version_0/checkpoints/last.ckpt"
        assert run_command_line(settings(world, "test_only=True", f"load_path={checkpoint}")) == 0


class TestPredictions:
    def test_each_question_once_in_order_and_never_overwritten_unasked(self, world, trained, capsys):
        arguments = settings(world, "test_only=True", f"load_path={trained / 'best.ckpt'}")
        assert run_command_line(arguments) == 0
        path = world / "result/anetqa_by_whole_seed0_version_0_best.json"
        output = capsys.readouterr().out
        assert str(path) in output
        records = json.loads(path.read_text())
        assert [record["qid"] for record in records] == [f"test{v}_{q}" for v in range(6) for q in range(4)]
        assert all(len(record["answer10"]) == 5 and record["answer10"][0] == record["answer"] for record in records)
        assert re.search(r"24 questions, accuracy \d+\.\d\d %", output)
        before = path.read_bytes()
        assert run_command_line(arguments) == 2
        assert "add overwrite=True to replace it" in capsys.readouterr().err
        assert run_command_line([*arguments, "overwrite=True"]) == 0
        assert path.read_bytes() == before

    def test_checkpoint_needs_no_settings_but_the_data(self, world, trained, tmp_path):
        machine = ["accelerator=cpu", "precision=32", "num_workers=0"]
        data, log = f"data_root={world / 'data'}", f"log_dir={tmp_path}"
        arguments = ["with", "test_only=True", f"load_path={trained / 'last.ckpt'}", data, log, *machine]
        assert run_command_line(arguments) == 0
        assert (tmp_path / "anetqa_by_whole_seed0_version_0_last.json").exists()

    def test_files_of_training_are_not_needed(self, world, trained, tmp_path):
        """Nor the tokenizer's: the checkpoint brings all that the test split and its videos do not."""
        arguments = ["with", "test_only=True", "accelerator=cpu", "precision=32", "num_workers=0"]
        data = tmp_path / "elsewhere/data"
        for frames in (world / "data/frames").glob("v_test*"):
            shutil.copytree(frames, data / "frames" / frames.name)
        for name in ("test.csv", "anetqa.h5"):
            shutil.copy(world / "data" / name, data)
        checkpoint = shutil.copy(trained / "best.ckpt", tmp_path / "mine.ckpt")
        for root in (data, world / "data"):
            more = (f"data_root={root}", f"log_dir={tmp_path / root.parent.name}", f"load_path={checkpoint}")
            assert run_command_line([*arguments, *more]) == 0
        there, here = (tmp_path / name / "anetqa_by_mine.json" for name in ("elsewhere", world.name))
        assert there.read_bytes() == here.read_bytes()

    def test_two_processes_write_the_same_file(self, world, trained, tmp_path):
        files = []
        for processes in (1, 2):
            folder = tmp_path / str(processes)
            arguments = settings(world, "test_only=True", f"load_path={trained / 'best.ckpt'}", f"num_gpus={processes}")
            done = start([*arguments, f"log_dir={folder}"], OMP_NUM_THREADS="1")
            assert done.wait(600) == 0, done.stdout.read()
            (path,) = folder.glob("*.json")
            files.append(path.read_bytes())
        assert files[0] == files[1]
