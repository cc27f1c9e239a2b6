"""Our folder ``datasets/`` has the name of a well-known library; only one of them can be imported in a process."""

import sys
from importlib.util import find_spec
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def check_own_datasets() -> None:
    """Raises ImportError if ``import datasets`` means another library, as in a notebook that has imported that one."""
    loaded = "datasets" in sys.modules
    spec = sys.modules["datasets"].__spec__ if loaded else find_spec("datasets")
    places = [Path(place).resolve() for place in (spec.submodule_search_locations or ())] if spec is not None else []
    if _ROOT / "datasets" in places:
        return
    other = places[0] if places else getattr(spec, "origin", None)
    if loaded:
        way = f"restart Python (a notebook's kernel) with {_ROOT} first in sys.path, and leave out that library"
    else:
        way = f"put {_ROOT} before it: sys.path.insert(0, {str(_ROOT)!r})"
    raise ImportError(f"`datasets` is another library here ({other}), and DeST has a folder of that name; {way}")
