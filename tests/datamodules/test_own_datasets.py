"""A notebook that has another library of the name of our `datasets/` is told what to do."""

import re
import subprocess
import sys

import pytest

from tests.kit.paths import ROOT

FIRST = "sys.path.insert(0, root); "
OTHER = "import datasets; "


@pytest.mark.parametrize(
    ("code", "there", "said"),
    [
        (OTHER + FIRST + "import datamodules.qa", True, f"restart Python .* with {ROOT} first in sys.path"),
        ("sys.path.append(root); from modules import load_model", True, "sys.path.insert"),
        (FIRST + OTHER + "import modules; from datasets.errors import InputError", False, ""),
    ],
)
def test_another_library_of_that_name(tmp_path, code, there, said):
    if there:
        (tmp_path / "datasets").mkdir()
        (tmp_path / "datasets" / "__init__.py").touch()
    code = f"import sys; root = {str(ROOT)!r}; {code}"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == there == bool(done.stderr)
    assert re.search(said, done.stderr), done.stderr
