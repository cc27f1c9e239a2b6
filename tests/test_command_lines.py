"""Whatever is run from a command line ends with one line of error, not with a traceback."""

import pytest

from tests.kit.paths import ROOT
from tests.kit.processes import run_python


def test_main_reports_bad_input_in_one_line():
    texts = {
        path.name: path.read_text("utf-8")
        for name in (".", "benchmarks", "preproc")
        for path in ROOT.glob(f"{name}/*.py")
    }
    mains = {name for name, text in texts.items() if "\ndef main(" in text}
    assert {"run.py", "eval.py", "make_toy.py", "inference.py", "train_step.py"} <= mains
    for name in mains:
        assert "\n@run_cli\ndef main(" in texts[name], name
        assert name == "run.py" or "raise SystemExit(main())" in texts[name], name


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
