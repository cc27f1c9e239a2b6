"""scripts/demo.sh and test.sh: what they run, and what they say when something fails."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from tests.kit.paths import ROOT

from .conftest import bash

LIVE = f'if [[ "$1" == scripts/live.py ]]; then exec {sys.executable} "$@"; fi'
MISSTEP = 'if [[ -n "${MISSTEP:-}" && "$*" == *"$MISSTEP"* ]]; then echo "something broke"; exit 3; fi'
TRAINING = """
for word in "$@"; do case $word in exp_name=*) name=${word#*=};; log_dir=*) log=${word#*=};; esac; done
[[ -n "${name:-}" ]] || exit 0
echo "20 steps in all"; echo "step 5  train/loss 0.4  train/accuracy 0.875"; sleep ${SLOW:-0}
folder="$log/${name}_seed0/version_0/checkpoints"; mkdir -p "$folder"; echo weights > "$folder/best.ckpt"
"""


@pytest.fixture
def python(tmp_path, program):
    """A stand-in that writes its arguments down, and the checkpoint that a training would; MISSTEP makes it fail."""
    return program("\n".join([f'echo "$@" >> {tmp_path}/calls', LIVE, MISSTEP, TRAINING]))


@pytest.fixture
def demo(tmp_path, python):
    """Runs the demo in a folder; returns how it ended, and the calls of Python."""
    toy, calls = tmp_path / "a toy", tmp_path / "calls"
    (toy / "raw" / "nextqa").mkdir(parents=True)  # what make_toy.py would write
    for name in ("test.csv", "map_vid_vidorID.json"):
        (toy / "raw" / "nextqa" / name).touch()

    def run(*arguments, **environment):
        calls.write_text("")
        done = bash("demo.sh", *arguments, cwd=tmp_path, PYTHON=python, TOY=toy, **environment)
        return done, calls.read_text().splitlines()

    return run


@pytest.mark.parametrize(("dataset", "runs"), [("anetqa", 9), ("agqa", 9), ("nextqa", 7)])
def test_every_step_runs_once_from_any_folder(demo, tmp_path, dataset, runs):
    done, calls = demo(dataset)
    assert done.returncode == 0, done.stderr
    # five trainings, three tests, probes; without the baseline four, two, and probes
    assert [call.split()[0] for call in calls].count("run.py") == runs
    assert (tmp_path / "a toy" / "checkpoints" / f"{dataset}_with_trm.ckpt").read_text() == "weights\n"
    done, calls = demo(dataset)
    assert done.returncode == 0 and [call.split()[0] for call in calls] == ["eval.py"]
    if dataset == "anetqa":  # multiple choice by what the demo of open questions left
        _, calls = demo("nextqa")
        assert [call for call in calls if "task_finetune_nextqa" in call and "checkpoints/anetqa_with_trm.ckpt" in call]
        assert f"zero_shot={tmp_path}/a toy/result/nextqa_by_anetqa_with_trm.json" in calls[-1]


def test_a_failure_names_the_step_and_its_log(demo, tmp_path):
    done, calls = demo(MISSTEP="task_pretrain_trm")
    failed = f"FAILED: the step 'train-trm' of the demo (log: {tmp_path}/a toy/logs/train-trm.log)"
    assert done.returncode == 1 and "something broke" in done.stderr and failed in done.stderr
    assert not [call for call in calls if "eval.py" in call] and demo()[0].returncode == 0


def test_a_terminal_shows_what_runs(tmp_path, python):
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    environment = os.environ | {"TERM": "xterm", "SLOW": "0.7", "PYTHON": str(python), "TOY": str(tmp_path / "toy")}
    process = subprocess.Popen(["bash", ROOT / "scripts/demo.sh"], stdin=its, stdout=its, stderr=its, env=environment)
    os.close(its)
    said = b""
    with contextlib.suppress(OSError):  # the terminal has no writer any more
        while True:
            said += os.read(ours, 65536)
    os.close(ours)
    said = said.decode().replace("\r", "")
    assert process.wait() == 0, said
    plain = re.sub(r"\x1b\[[?\d;]*[A-Za-ln-z]", "\n", re.sub(r"\x1b\[[\d;]*m", "", said))  # moves; colours
    running = set(re.findall(r"^(train-\w+) +\S+ +accuracy 0\.875 +\d+ s left", plain, re.MULTILINE))
    assert {"train-trm", "train-anetqa_mean"} <= running
    lines = [line.split()[0] for line in plain.splitlines() if re.search(r"^\S+ +\d+ s$", line)]
    assert len(lines) == len(set(lines)) == 19  # each step once, when it is done
