"""Requirements are what is imported: nothing is pinned that nothing imports, nothing is imported that is not pinned."""

import ast
import re
import sys
from importlib.metadata import packages_distributions

from tests.kit.paths import ROOT

TOOLS = {"tensorboard", "pytest-sugar", "pytest-xdist", "ruff", "mypy", "uv"}  # used without an import of ours
# Distributions by the names that they are imported under, where the environment lacks an extra.
EXTRAS = {"gradio": ["gradio"], "wandb": ["wandb"]}


def imported() -> set[str]:
    """Names of what the project imports from elsewhere."""
    names = set()
    for path in ROOT.rglob("*.py"):
        if any(part.startswith(".") for part in path.relative_to(ROOT).parts):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(str(node.module).split(".")[0])
    return names - sys.stdlib_module_names - {path.stem for path in ROOT.iterdir()}


def test_pinned_is_what_is_imported():
    lines = "\n".join(path.read_text() for path in ROOT.glob("requirements*.txt"))
    pinned = {name.lower() for name in re.findall(r"^([\w.-]+)==", lines, re.M)}
    owners = EXTRAS | packages_distributions()
    used = {name: {owner.lower() for owner in owners.get(name, [name])} for name in imported()}
    assert {name for name, owner in used.items() if not owner & pinned} == set()
    assert pinned - set().union(*used.values()) - TOOLS == set()
