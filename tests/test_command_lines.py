"""Whatever is run from a command line ends with one line of error, not with a traceback."""

import ast

import pytest

from tests.kit.paths import ROOT
from tests.kit.processes import run_python

FILES = [*ROOT.glob("*.py"), *(path for name in ("benchmarks", "preproc") for path in (ROOT / name).glob("*.py"))]
MAINS = {
    path: node
    for path in FILES
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name == "main"
}


def test_main_reports_bad_input_in_one_line():
    assert {"run.py", "eval.py", "make_toy.py", "inference.py", "train_step.py"} <= {path.name for path in MAINS}
    for path, main in MAINS.items():
        assert "run_cli" in [ast.unparse(decorator) for decorator in main.decorator_list], path
        assert path.name == "run.py" or "raise SystemExit(main())" in path.read_text(encoding="utf-8"), path


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_before_anything_runs():
    kill = "lambda: os.kill(os.getpid(), signal.SIGINT)"
    done = run_python("-c", f"import os, signal; from datasets.errors import run_cli; exit(run_cli({kill})())")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped by Ctrl-C\n")


@pytest.mark.parametrize("word", ["print_config", "--help"])
def test_settings_are_shown_without_what_trains(word):
    done = run_python("-X", "importtime", "run.py", word)
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 0 and "sacred" in imported, done.stderr
    assert not imported & {"torch", "pytorch_lightning", "transformers", "pandas", "h5py"}
