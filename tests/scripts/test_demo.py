"""scripts/demo.sh and scripts/test.sh: what they say when something fails, and that they do not do things twice."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import h5py
import pytest

from tests.kit.paths import ROOT


def run(script, *arguments, python, toy, cwd):
    environment = os.environ | {"PYTHON": str(python), "TOY": str(toy)}
    command = ["bash", str(ROOT / "scripts" / script), *arguments]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def python(tmp_path):
    """A stand-in that writes its arguments down, and the checkpoint that a training would; MISSTEP makes it fail."""
    path = tmp_path / "python"
    path.write_text(
        f'#!/bin/bash\necho "$@" >> {tmp_path}/calls\n'
        f'if [[ "$1" == scripts/live.py ]]; then exec {sys.executable} "$@"; fi\n'
        'if [[ -n "${MISSTEP:-}" && "$*" == *"$MISSTEP"* ]]; then echo "something broke"; exit 3; fi\n'
        'for word in "$@"; do case $word in exp_name=*) name=${word#*=};; log_dir=*) log=${word#*=};; esac; done\n'
        'if [[ -n "${name:-}" ]]; then echo "20 steps in all"; echo "step 5  train/loss 0.4  train/accuracy 0.875"\n'
        '  sleep ${SLOW:-0}; folder="$log/${name}_seed0/version_0/checkpoints"\n'
        '  mkdir -p "$folder"; echo weights > "$folder/best.ckpt"; fi\n'
    )
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(("dataset", "runs"), [("anetqa", 9), ("agqa", 9), ("nextqa", 7)])
def test_every_step_runs_once_from_any_folder(tmp_path, python, dataset, runs):
    toy = tmp_path / "a toy"
    (toy / "raw" / "nextqa").mkdir(parents=True)  # what make_toy.py would write
    for name in ("test.csv", "map_vid_vidorID.json"):
        (toy / "raw" / "nextqa" / name).touch()
    first = run("demo.sh", dataset, python=python, toy=toy, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    # five trainings, three tests, probes; without the baseline four, two, and probes
    assert [call.split()[0] for call in calls].count("run.py") == runs
    assert (toy / "checkpoints" / f"{dataset}_with_trm.ckpt").read_text() == "weights\n"
    second = run("demo.sh", dataset, python=python, toy=toy, cwd=tmp_path)
    assert second.returncode == 0
    again = (tmp_path / "calls").read_text().splitlines()[len(calls) :]
    assert [call.split()[0] for call in again] == ["eval.py"]


def test_multiple_choice_by_what_the_demo_of_open_questions_left(tmp_path, python):
    toy = tmp_path / "toy"
    (toy / "raw" / "nextqa").mkdir(parents=True)
    for name in ("test.csv", "map_vid_vidorID.json"):
        (toy / "raw" / "nextqa" / name).touch()
    for dataset in ("anetqa", "nextqa"):
        assert run("demo.sh", dataset, python=python, toy=toy, cwd=tmp_path).returncode == 0
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call for call in calls if "task_finetune_nextqa" in call and "checkpoints/anetqa_with_trm.ckpt" in call]
    assert f"zero_shot={toy}/result/nextqa_by_anetqa_with_trm.json" in calls[-1]


def on_a_terminal(python, toy, script="demo.sh", *arguments) -> tuple[int, str]:
    """Exit code of a script, and all that a terminal of 100 columns gets from it."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    environment = os.environ | {"PYTHON": str(python), "TOY": str(toy), "TERM": "xterm", "SLOW": "0.7"}
    command = ["bash", str(ROOT / "scripts" / script), *arguments]
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment)
    os.close(its)
    said = b""
    while True:
        try:
            said += os.read(ours, 65536)
        except OSError:  # the terminal has no writer any more
            break
    os.close(ours)
    return process.wait(), said.decode().replace("\r", "")


def test_a_terminal_shows_what_runs(tmp_path, python, monkeypatch):
    code, said = on_a_terminal(python, tmp_path / "toy")
    assert code == 0, said
    plain = re.sub(r"\x1b\[[?\d;]*[A-Za-ln-z]", "\n", re.sub(r"\x1b\[[\d;]*m", "", said))  # moves; colours
    running = set(re.findall(r"^(train-\w+) +\S+ +accuracy 0\.875 +\d+ s left", plain, re.MULTILINE))
    assert {"train-trm", "train-anetqa_mean"} <= running
    lines = [line.split()[0] for line in plain.splitlines() if re.search(r"^\S+ +\d+ s$", line)]
    assert len(lines) == len(set(lines)) == 19  # each step once, when it is done
    assert "\x1b[?25h" in said.rsplit("\x1b[?25l")[-1]  # the cursor is there again
    monkeypatch.setenv("MISSTEP", "task_pretrain_trm")
    code, said = on_a_terminal(python, tmp_path / "other")
    assert code == 1
    assert said.endswith(f"FAILED: the step 'train-trm' of the demo (log: {tmp_path}/other/logs/train-trm.log)\n")


def test_a_failure_names_the_step_and_its_log(tmp_path, python, monkeypatch):
    monkeypatch.setenv("MISSTEP", "task_pretrain_trm")
    toy = tmp_path / "toy"
    done = run("demo.sh", python=python, toy=toy, cwd=tmp_path)
    assert done.returncode == 1
    assert "something broke" in done.stderr
    assert f"FAILED: the step 'train-trm' of the demo (log: {toy}/logs/train-trm.log)" in done.stderr
    assert "eval.py" not in (tmp_path / "calls").read_text()
    monkeypatch.delenv("MISSTEP")
    assert run("demo.sh", python=python, toy=toy, cwd=tmp_path).returncode == 0


def test_an_unknown_demo(tmp_path, python):
    done = run("demo.sh", "anet", python=python, toy=tmp_path / "toy", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: there is no demo of 'anet'; bash scripts/demo.sh [anetqa|agqa|nextqa]\n"
    assert not (tmp_path / "toy").exists()


@pytest.mark.parametrize("script", ["demo.sh", "test.sh"])
def test_a_python_that_is_none(tmp_path, script):
    done = run(script, python=tmp_path / "no", toy=tmp_path / "toy", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "FAILED: PYTHON names no program that can be run\n"


def test_tests_that_fail(tmp_path, python, monkeypatch):
    monkeypatch.setenv("MISSTEP", "pytest")
    done = run("test.sh", python=python, toy=tmp_path / "toy", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "FAILED: the tests (see above)\n"


@pytest.mark.parametrize("workers", ["0", "1"])
def test_tests_show_a_bar_on_a_terminal(tmp_path, workers):
    (tmp_path / "test_two.py").write_text("def test_good(): pass\ndef test_bad(): assert 1 == 2\n")
    arguments = ("-n", workers, "-p", "no:cacheprovider", str(tmp_path))
    code, said = on_a_terminal(sys.executable, tmp_path, "test.sh", *arguments)
    assert code == 1
    assert f"{'━' * 20}{'╌' * 20} 1 of 2, 0 failed" in said and f"{'━' * 40} 2 of 2, 1 failed" in said
    assert "assert 1 == 2" in said and "1 failed, 1 passed" in re.sub(r"\x1b\[[\d;]*m", "", said)
    done = run("test.sh", *arguments, python=sys.executable, toy=tmp_path, cwd=tmp_path)
    assert done.returncode == 1 and "━" not in done.stdout


def test_the_toy_world_of_the_tests_is_whole(toy_world):
    data = toy_world / "data"
    for split in ("train", "val", "test"):
        assert (data / "anetqa" / f"{split}.csv").stat().st_size > 0
    assert len(list((data / "anetqa" / "frames").glob("v_*"))) == 12
    with h5py.File(data / "anetqa" / "anetqa.h5") as features:
        assert {feature.shape for feature in features.values()} == {(6, 128)}
    with h5py.File(data / "vatex" / "vatex.h5") as features:
        assert {feature.shape for feature in features.values()} == {(2, 128)}
