"""The installed Lightning and Sacred still have the names that `modules/training/private.py` uses."""

import inspect
import re
from importlib.metadata import version

import pytorch_lightning as pl
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop

from modules.training.private import ignore_sigterm
from tests.kit.paths import ROOT
from tests.kit.processes import run_python


def test_sigterm():
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer._signal_connector.received_sigterm = True
    assert trainer.received_sigterm
    ignore_sigterm(trainer)
    assert not trainer.received_sigterm
    assert "self._broadcast_sigterm_tensor()" in inspect.getsource(_TrainingEpochLoop.advance)


def test_sacred_needs_no_pkg_resources():
    program = """
import sys
import config
assert "pkg_resources" not in sys.modules  # setuptools has none since version 82
from sacred.dependencies import PackageDependency
from sacred.observers.mongo import mimetype_detector
numpy = PackageDependency("numpy", None)
numpy.fill_missing_version()
print(numpy.to_json(), mimetype_detector.guess_type("a.h5")[0], "pandas" in sys.modules)
"""
    done = run_python("-W", "error", "-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"numpy=={version('numpy')} application/x-hdf5 False\n"


def test_no_private_name_stands_elsewhere():
    for path in {ROOT / "run.py", ROOT / "config.py", *(ROOT / "modules/training").glob("*.py")}:
        if path.name != "private.py":
            assert not re.findall(r"(?<!self)(?<!os)\._[a-z]\w*", path.read_text()), path
