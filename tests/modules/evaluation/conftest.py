"""What tests of evaluation share: the command, and made-up results as it evaluates them."""

import json

import pytest

import eval as evaluation
from datasets.sources import anetqa
from modules.evaluation.scores import evaluate

from .results import make_results


@pytest.fixture
def score(capsys, tmp_path):
    """Runs `eval.py`: what it printed, and its scores as data; or the line of its error, and None."""

    def run(*words):
        code = evaluation.main([*map(str, words), "--json", str(tmp_path / "scores.json")])
        out, error = capsys.readouterr()
        if code == 0:
            return out, json.loads((tmp_path / "scores.json").read_text())
        assert (code, out, error[:7], error.count("\n")) == (2, "", "error: ", 1)
        return error, None

    return run


@pytest.fixture(scope="package")
def report(tmp_path_factory):
    """Three models of different skill."""
    truth, files = make_results(tmp_path_factory.mktemp("results"))
    return evaluate(anetqa.SOURCE, files, truth)
