"""A run that was killed or stopped goes on as if nothing had been, or says why it cannot."""

import json
import re
import signal

import pytest
import torch

from config import run_command_line
from modules.objectives.open_ended_qa import OpenEndedQA
from tests.kit.other_process import writer_elsewhere
from tests.kit.processes import run_python, start
from tests.kit.runs import assert_equal, assert_same_run, killed_run, load, rows, run_folder, train, weights
from tests.kit.small_world import make_small_world, settings


def logged(run) -> list[dict[str, str]]:
    """The log of a run, without what depends on the machine and its hour."""
    return [{key: own for key, own in row.items() if not key.startswith(("speed/", "memory/"))} for row in rows(run)]


class TestKilled:
    @pytest.mark.parametrize("interval", [0.5, 2])
    @pytest.mark.parametrize(("hook", "batches"), [("training_step", 5), ("training_step", 8), ("validation_step", 14)])
    def test_validations_amid_an_epoch_and_amid_accumulation(self, tmp_path, monkeypatch, interval, hook, batches):
        world = make_small_world(tmp_path / "world", questions_each=3)  # 5 batches per epoch, thus 3 steps
        more = (f"val_check_interval={interval}", "max_epoch=4", "checkpoint_steps=2")
        whole = train(world, "whole", *more) / "checkpoints"
        self._killed(world, whole, monkeypatch, batches, hook, *more)

    @pytest.mark.parametrize("batches", [1, 3, 6, 7])
    def test_in_training(self, world, trained, monkeypatch, batches):
        self._killed(world, trained, monkeypatch, batches, "training_step", "checkpoint_steps=1")

    @pytest.mark.parametrize("batches", [0, 4, 7])
    def test_in_validation(self, world, trained, monkeypatch, batches):
        # One batch is the check before training.
        self._killed(world, trained, monkeypatch, batches + 1, "validation_step", "checkpoint_steps=1")

    def _killed(self, world, trained, monkeypatch, batches, hook, *more):
        name = f"{hook}{batches}"
        arguments = settings(world, f"exp_name={name}", *more)
        killed_run(arguments, monkeypatch, OpenEndedQA, batches, hook)
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
        killed_run(arguments, monkeypatch, OpenEndedQA, 11, "training_step")
        folder = run_folder(world, "damaged") / "checkpoints"
        newest = folder / "last.ckpt"
        newest.write_bytes(newest.read_bytes()[:-1000])
        whole = (folder / "previous.ckpt").read_bytes()
        killed_run(
            [*arguments, "resume_from=last"], monkeypatch, OpenEndedQA, 2, "training_step"
        )  # one checkpoint more
        said = rf"^warning: {re.escape(str(newest))} is truncated or damaged.*; going back to the checkpoint before it$"
        assert re.search(said, capsys.readouterr().out, re.MULTILINE)
        assert (folder / "previous.ckpt").read_bytes() == whole
        assert load(newest)["global_step"] == 5
        assert run_command_line([*arguments, "resume_from=last"]) == 0
        assert "warning" not in capsys.readouterr().out
        assert_same_run(newest, trained / "last.ckpt")


class TestStopped:
    @pytest.mark.usefixtures("heeds_ctrl_c")
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
    def test_checkpoint_then_exit_75_then_resumed_as_if_nothing_had_been(self, world, trained, number):
        name = f"exp_name=signal{number}"
        process = start("run.py", *settings(world, name))
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
        assert_same_run(run_folder(world, f"signal{number}") / "checkpoints/last.ckpt", trained / "last.ckpt")

    @pytest.mark.usefixtures("heeds_ctrl_c")
    def test_second_ctrl_c_stops_at_once(self):
        code = (
            "import os, signal, time; from modules.training.stopping import StopSignals; s = StopSignals();"
            "s.install();"
            "os.kill(os.getpid(), signal.SIGINT); print('alive', flush=True); os.kill(os.getpid(), signal.SIGINT);"
            "print('still alive', flush=True)"
        )
        done = run_python("-c", code)
        assert (done.returncode, done.stdout) == (130, "alive\n")
        assert "once more to stop at once" in done.stderr


class TestWhatIsThere:
    def test_a_folder_that_another_writes_is_refused(self, world, capsys):
        folder = train(world, "taken", "max_epoch=1")
        arguments = settings(world, "exp_name=taken", "resume_from=last", "max_epoch=2")
        before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
        capsys.readouterr()
        with writer_elsewhere(folder / ".lock") as other:
            assert run_command_line(arguments) == 2
        said = rf"error: {re.escape(str(folder))} is being written by process {other.pid} on \S+;.*\n"
        assert re.fullmatch(said, capsys.readouterr().err)
        assert {path: path.read_bytes() for path in before} == before
        assert run_command_line(arguments) == 0

    def test_auto_continues_what_is_there(self, world, capsys):
        arguments = settings(world, "exp_name=auto", "resume_from=auto")
        folder = world / "result/auto_seed0"
        assert run_command_line([*arguments, "max_epoch=1"]) == 0
        assert f"nothing to resume in {folder}; starting anew" in capsys.readouterr().out
        assert run_command_line(arguments) == 0
        assert "continuing after step 3" in capsys.readouterr().out
        (folder / "version_1").mkdir()  # a run that was stopped before its first checkpoint
        assert run_command_line([*arguments, "max_epoch=1"]) == 0
        assert "starting anew" in capsys.readouterr().out
        assert (folder / "version_2/checkpoints/last.ckpt").exists()

    def test_a_finished_run_says_so(self, world, capsys):
        last = train(world, "finished", "max_epoch=1") / "checkpoints/last.ckpt"
        arguments = settings(world, "exp_name=finished", "max_epoch=1")
        capsys.readouterr()
        for more in (["resume_from=last"], [f"resume_from={last}"], ["resume_from=last", "max_steps=3"]):
            assert run_command_line([*arguments, *more]) == 0
            said = capsys.readouterr().out
            assert f"{last} is of a run that has finished, after step 3" in said
            assert ("max_steps (it is 3)" if "max_steps=3" in more else "max_epoch (it is 1)") in said
        assert run_command_line([*arguments, "resume_from=last", "max_epoch=2"]) == 0
        assert "has finished" not in capsys.readouterr().out

    def test_settings_that_may_change_are_told(self, world, trained, tmp_path, capsys):
        path = tmp_path / "last.ckpt"
        path.write_bytes((trained / "last.ckpt").read_bytes())
        train(world, "further", f"resume_from={path}", "max_epoch=5", "end_lr=1e-6")
        lines = capsys.readouterr().out.splitlines()
        (told,) = (line for line in lines if line.startswith("resumed with other settings than before: "))
        assert "max_epoch=5 (was " in told and "end_lr=1e-06 (was 0.0)" in told and "seed" not in told


class TestRefused:
    """In one line, which names the setting or the file."""

    def refused(self, arguments, capsys) -> str:
        assert run_command_line(arguments) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1
        return error

    def test_nothing_to_resume(self, world, capsys):
        error = self.refused(settings(world, "exp_name=never", "resume_from=last"), capsys)
        assert str(world / "result/never_seed0") in error

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
    def test_settings_that_would_be_passed_over(self, world, trained, capsys, word, was):
        error = self.refused(settings(world, f"resume_from={trained / 'last.ckpt'}", word), capsys)
        assert error.startswith(f"error: {word.split('=')[0]} is {was}")

    def test_weights_alone_cannot_be_continued(self, world, trained, tmp_path, capsys):
        path = tmp_path / "other.ckpt"
        torch.save(load(trained / "last.ckpt")["state_dict"], path)
        assert f"load_path={path}" in self.refused(settings(world, f"resume_from={path}"), capsys)

    def test_settings_of_a_checkpoint_are_checked(self, world, trained, tmp_path, capsys):
        checkpoint = load(trained / "last.ckpt")
        checkpoint["dest"]["config"]["nframe"] = "many"
        path = tmp_path / "odd.ckpt"
        torch.save(checkpoint, path)
        arguments = settings(world, "test_only=True", f"load_path={path}")
        assert run_command_line(arguments) == 0
        capsys.readouterr()
        error = self.refused([word for word in arguments if "nframe" not in word], capsys)
        assert "nframe='many'" in error and str(path) in error

    def test_other_vocabulary(self, trained, tmp_path, capsys):
        other = make_small_world(tmp_path / "other")
        vocabulary = json.loads((other / "data/vocab.json").read_text())
        (other / "data/vocab.json").write_text(json.dumps(vocabulary | {"before": 5}))
        assert "5 answers" in self.refused(settings(other, f"resume_from={trained / 'last.ckpt'}"), capsys)
