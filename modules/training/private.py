"""Names that Lightning and Sacred do not publish, each behind a function that says what it is for.

`tests/modules/training/test_private.py` fails when an installed version has them no longer. The libraries are imported
within the functions, as `config.py` needs Sacred's before it is worth waiting for Lightning.
"""

import contextlib
import functools
import importlib.metadata
import importlib.resources
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytorch_lightning as pl


def ignore_sigterm(trainer: "pl.Trainer") -> None:
    """Keeps Lightning from ending a run on SIGTERM by itself; to be called when training starts.

    It may have had the signal before our handlers were installed. And it would ask rank 0 about it before every batch,
    which waits for the device each time.
    """
    trainer._signal_connector.received_sigterm = False
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]


@contextlib.contextmanager
def rank_observer(observe: Callable[[list[subprocess.Popen]], None]) -> Iterator[None]:
    """Hands the processes that Lightning starts for the other ranks to `observe`.

    Lightning's own observer kills this process without a word when one of them dies.
    """
    from pytorch_lightning.strategies.launchers import subprocess_script

    before = subprocess_script._launch_process_observer
    subprocess_script._launch_process_observer = observe
    try:
        yield
    finally:
        subprocess_script._launch_process_observer = before


class _Installed:
    """The installed packages, as far as Sacred reads `pkg_resources.working_set`."""

    def __iter__(self) -> Iterator[SimpleNamespace]:
        for found in importlib.metadata.distributions():
            lines = functools.partial(lambda found, name: (found.read_text(name) or "").splitlines(), found)
            yield SimpleNamespace(project_name=found.name, version=found.version, _get_metadata=lines)

    @functools.cached_property
    def by_key(self) -> dict[str, SimpleNamespace]:
        return {found.project_name.lower(): found for found in self}


@contextlib.contextmanager
def sacred_alone() -> Iterator[None]:
    """While Sacred is imported, stands in for what it imports and hardly needs.

    - pkg_resources, which setuptools no longer has since its version 82, and which is slow where there is one;
    - pandas, which it takes if it is there: slow, and of no use here.
    """
    stand_in = ModuleType("pkg_resources")
    stand_in.working_set = _Installed()  # type: ignore[attr-defined]
    stand_in.resource_filename = lambda package, name: str(importlib.resources.files(package) / name)  # type: ignore[attr-defined]
    others: dict[str, Any] = {"pkg_resources": stand_in, "pandas": None}
    added = [name for name in others if name not in sys.modules]
    sys.modules.update({name: others[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            del sys.modules[name]


def parse_values_with(parse: Callable[[str], Any]) -> None:
    """Makes Sacred read the values of the command line by `parse`, wherever they stand.

    Its own function hands literals to jsonpickle, for which ``{'py/reduce': …}`` is a call of any function.
    """
    from sacred import arg_parser

    arg_parser._convert_value = parse


def settings_of_words(words: Sequence[str]) -> dict[str, Any]:
    """The ``key=value`` among the words after ``with``, as Sacred will read them; parts of a setting as a dict."""
    from sacred.arg_parser import get_config_updates

    return get_config_updates(words)[0]


def nest(settings: Mapping[str, Any]) -> dict[str, Any]:
    """``{"a.b": 1}`` as ``{"a": {"b": 1}}``, as Sacred has it."""
    from sacred.utils import convert_to_nested_dict

    return convert_to_nested_dict(dict(settings))
