"""A notebook that has another library of the name of our `datasets/` is told what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.paths import ROOT


def run_python(code: str, folder: Path) -> subprocess.CompletedProcess:
    code = f"import sys; root, other = {str(ROOT)!r}, {str(folder)!r}; {code}"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def other_library(tmp_path) -> Path:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("def load_dataset(): ...\n")
    return tmp_path


@pytest.mark.parametrize("imported", ["from modules import load_model", "import modules", "import datamodules.qa"])
def test_another_library_imported_first(other_library, imported):
    done = run_python(f"import datasets; sys.path.insert(0, root); {imported}", other_library)
    error = done.stderr.splitlines()[-1]
    assert error.startswith(f"ImportError: `datasets` is another library here ({other_library / 'datasets'}), and DeST")
    assert error.endswith(
        f"restart Python (a notebook's kernel) with {ROOT} first in sys.path, and leave out that library"
    )


def test_another_library_found_first(other_library):
    done = run_python("sys.path.append(root); from modules import load_model", other_library)
    assert done.stderr.splitlines()[-1].endswith(f"put {ROOT} before it: sys.path.insert(0, {str(ROOT)!r})")


@pytest.mark.parametrize("first", ["", "import datasets; "])
def test_ours(tmp_path, first):
    done = run_python(
        f"sys.path.insert(0, root); {first}import modules; from datasets.errors import InputError", tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
