import re

import pytest

from tests.kit.paths import ROOT
from tests.kit.processes import run_python


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import datasets; sys.path.insert(0, root); import datamodules.qa", f"restart Python .* with {ROOT} first in"),
        ("sys.path.append(root); from modules import load_model", "sys.path.insert"),
    ],
)
def test_another_library_of_that_name(tmp_path, code, said):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").touch()
    done = run_python("-c", f"import sys; root = {str(ROOT)!r}; {code}", cwd=tmp_path)
    assert done.returncode and re.search(said, done.stderr), done.stderr
