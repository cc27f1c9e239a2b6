"""The shape of the source: which package may import which, and how large files, functions and folders may be."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.kit.paths import ROOT
from tests.kit.processes import run_python

# A room imports from itself and from the lines above its own; rooms of one line know nothing of each other.
ORDER = """
datasets
datasets.sources datasets.trm
datasets.video datasets.checking
datasets.writing
datamodules
modules.config
modules.models
modules.objectives modules.checkpoints
modules.training.logs modules.evaluation.files modules.evaluation.statistics
modules.training modules.inference modules.evaluation
modules.evaluation.page modules.evaluation.tables
modules
config preproc.toy
run eval preproc
benchmarks
"""
LINE_OF = {room: number for number, line in enumerate(ORDER.split("\n")) for room in line.split()}
DATASETS = {room for room in LINE_OF if room.split(".")[0] == "datasets"}
EVALUATION = {f"modules.evaluation{room}" for room in ("", ".files", ".statistics")}
# These import less than the lines above them.
ONLY = {"modules.config": DATASETS, **dict.fromkeys(EVALUATION, DATASETS | EVALUATION)}
ONLY |= dict.fromkeys(("modules.evaluation.page", "modules.evaluation.tables"), DATASETS | EVALUATION)
ONLY["eval"] = DATASETS | EVALUATION | {"modules.evaluation.page", "modules.evaluation.tables"}

MAX_FILE, MAX_FUNCTION, MAX_FOLDER = 400, 60, 14  # lines, lines, Python files
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


TOPS = {room.split(".")[0] for room in LINE_OF}
FILES = sorted(path for top in TOPS for path in [*ROOT.glob(f"{top}.py"), *(ROOT / top).rglob("*.py")])
SOURCES = {module_name(path): path for path in FILES}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in SOURCES.items()}


def room_of(module: str) -> str:
    """The folder of a module, or for a script its own name."""
    is_package = SOURCES[module].name == "__init__.py"
    return module if is_package else module.rpartition(".")[0] or module


def imports_of(module: str) -> Iterator[str]:
    """Modules of ours that a module imports anywhere, also within functions and for the type checker alone."""
    package = module.split(".") if SOURCES[module].name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(TREES[module]):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            names = [name if (name := f"{base}.{alias.name}") in SOURCES else base for alias in node.names]
        yield from (name for name in names if name in SOURCES and name != module)


IMPORTS = {module: set(imports_of(module)) for module in SOURCES}


def test_imports_go_down_only():
    assert {room_of(module) for module in SOURCES} == LINE_OF.keys(), "every folder has its place in the order"
    for module, other in [(module, other) for module, others in IMPORTS.items() for other in others]:
        room, below = room_of(module), room_of(other)
        may_import = room == below or (LINE_OF[below] < LINE_OF[room] and below in ONLY.get(room, LINE_OF))
        assert may_import, f"{module} imports {other}: this goes up; move what is shared down (see ORDER)"
    TopologicalSorter(IMPORTS).prepare()  # no files import each other


def test_files_and_functions_are_short():
    for module, path in SOURCES.items():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE, module
        for function in ast.walk(TREES[module]):
            if isinstance(function, FUNCTIONS):
                assert function.end_lineno - function.lineno < MAX_FUNCTION, (module, function.name)


def test_folders_are_small_and_say_what_they_hold():
    for folder in {path.parent for path in SOURCES.values()} - {ROOT}:
        assert len(list(folder.glob("*.py"))) - 1 <= MAX_FOLDER, folder
        assert ast.get_docstring(TREES[module_name(folder / "__init__.py")]), folder
    assert [path.name for path in (ROOT / "modules").iterdir() if path.is_file()] == ["__init__.py"]


def test_docstrings_open_with_a_verb_or_a_noun():
    words = "what|whether|how|where|which|who|why|when|that|those|the same|as|at|by|for|from|in|of|to|with|without"
    for node in (node for tree in TREES.values() for node in ast.walk(tree)):
        if isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)):
            assert not re.match(rf"({words})\b", text := ast.get_docstring(node) or "", re.I), text


def test_private_names_of_libraries_stand_in_one_file():
    for path in {ROOT / "run.py", ROOT / "config.py", *(ROOT / "modules/training").glob("*.py")}:
        names = re.findall(r"(?<!self)(?<!os)\._[a-z]\w*", path.read_text())
        assert path.name == "private.py" or not names, (path, names)


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
