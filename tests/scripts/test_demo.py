"""scripts/demo.sh and scripts/test.sh: what they say when something fails, and that they do not do things twice."""

import os
import subprocess

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
        'if [[ -n "${MISSTEP:-}" && "$*" == *"$MISSTEP"* ]]; then echo "something broke"; exit 3; fi\n'
        'for word in "$@"; do case $word in exp_name=*) name=${word#*=};; log_dir=*) log=${word#*=};; esac; done\n'
        'if [[ -n "${name:-}" ]]; then folder="$log/${name}_seed0/version_0/checkpoints"\n'
        '  mkdir -p "$folder"; echo weights > "$folder/best.ckpt"; fi\n'
    )
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("dataset", ["anetqa", "agqa"])
def test_every_step_runs_once_from_any_folder(tmp_path, python, dataset):
    toy = tmp_path / "a toy"
    first = run("demo.sh", dataset, python=python, toy=toy, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split()[0] for call in calls].count("run.py") == 9  # five trainings, three tests, probes
    assert (toy / "checkpoints" / f"{dataset}_with_trm.ckpt").read_text() == "weights\n"
    second = run("demo.sh", dataset, python=python, toy=toy, cwd=tmp_path)
    assert second.returncode == 0
    again = (tmp_path / "calls").read_text().splitlines()[len(calls) :]
    assert [call.split()[0] for call in again] == ["eval.py"]


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
    assert done.stderr == "error: there is no demo of 'anet'; bash scripts/demo.sh [anetqa|agqa]\n"
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


def test_the_toy_world_of_the_tests_is_whole(toy_world):
    data = toy_world / "data"
    for split in ("train", "val", "test"):
        assert (data / "anetqa" / f"{split}.csv").stat().st_size > 0
    assert len(list((data / "anetqa" / "frames").glob("v_*"))) == 12
    with h5py.File(data / "anetqa" / "anetqa.h5") as features:
        assert {feature.shape for feature in features.values()} == {(6, 128)}
    with h5py.File(data / "vatex" / "vatex.h5") as features:
        assert {feature.shape for feature in features.values()} == {(2, 128)}
