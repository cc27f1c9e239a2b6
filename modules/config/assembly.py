"""Settings to objects: constructors fed by name; and what a checkpoint has to say about the settings."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import import_module
from typing import Any

from datasets.settings import Tie, tied


def construct(function: Callable, *sources: Any) -> Any:
    """Calls a class or a function whose arguments are found, by name, in the first source that has each.

    Args:
        sources: mappings, or objects with attributes. Arguments that none of them has keep their defaults.
    """
    arguments = {}
    for name in inspect.signature(function).parameters:
        for source in sources:
            if isinstance(source, Mapping):
                found, value = name in source, source.get(name)
            else:
                found, value = hasattr(source, name), getattr(source, name, None)
            if found:
                arguments[name] = value
                break
    return function(**arguments)


def locate(path: str) -> Any:
    """``"package.module.Name"`` -> the object of that name."""
    module, name = path.rsplit(".", 1)
    return getattr(import_module(module), name)


def settings_of_checkpoint(
    schema: type, made_with: Mapping[str, Any], continues: bool, given: Collection[str], recipes: Sequence[str]
) -> dict[str, Any]:
    """The settings that a checkpoint decides.

    Args:
        made_with: the settings it was made with; empty for files from elsewhere.
        continues: it is tested or resumed; otherwise another training starts from it.
        given: names of the settings that the command line gives; they decide over the checkpoint's.
    """
    ties = [Tie.WEIGHTS]
    if continues:
        ties += [Tie.INFERENCE] if recipes else [Tie.INFERENCE, Tie.TASK]
    return {key: made_with[key] for key in tied(schema, *ties) if key in made_with and key not in given}
