"""The benchmark knows what toy questions are about, and runs through."""

import shutil

import pytest

from benchmarks.attention import answered_event, asked_cells, main
from datasets.errors import InputError
from preproc.toy.world import Event, Scene

EVENTS = (Event("red", "diamond", "grows"), Event("blue", "cross", "hides"), Event("green", "triangle", "sinks"))
SCENE = Scene("city", "red", "circle", "left", "high", "ball", "tree", "low", stones=2)


def test_what_a_question_is_about():
    assert answered_event(EVENTS, "what acted at the beginning") == 0
    assert answered_event(EVENTS, "how did it act at the end") == 2
    assert answered_event(EVENTS, "what acted after the blue cross hides") == 2
    assert answered_event(EVENTS, "how did it act before the green triangle sinks") == 1
    with pytest.raises(InputError, match="'what acted after the red sun sets'"):
        answered_event(EVENTS, "what acted after the red sun sets")
    assert asked_cells(SCENE, "what color is the sign", 4) == {(0, 0)}
    assert asked_cells(SCENE, "is there a tree", 4) == {(2, 3)}
    assert asked_cells(SCENE, "where does it happen", 4) is None


def test_it_prints_a_table(toy_world, toy_checkpoint, tmp_path, capsys):
    (tmp_path / "checkpoints").mkdir()
    shutil.copy(toy_checkpoint, tmp_path / "checkpoints" / "some.ckpt")
    (tmp_path / "data").symlink_to(toy_world / "data")
    assert main([str(tmp_path), "some", "--scale", "1e-3"]) == 0
    output = capsys.readouterr().out
    assert "dependence" in output and "some" in output
    assert main([str(tmp_path), "some", "--scale", "1e-3", "--seed", "5"]) == 2
