"""Note beside an output of the settings that it was made with, so that later runs keep to them."""

from pathlib import Path

from datasets.errors import InputError
from datasets.files import read_json, write_json


def read_settings(path: Path) -> dict:
    """Reads what an output was made with, from the note beside it. Raises InputError when that is none."""
    kept = read_json(path)
    if not isinstance(kept, dict):
        raise InputError(f"{path} is not a JSON object of settings: restore it, or name another place for the output")
    return kept


def keep_settings(path: Path, settings: dict, what: str) -> None:
    """Notes beside an output what it is made with, and holds later runs to it. Raises InputError where these differ."""
    if not path.exists():
        write_json(path, settings, indent=1)
    hold_to_settings(read_settings(path), settings, what)


def hold_to_settings(kept: dict, settings: dict, what: str) -> None:
    """Raises InputError when what was made earlier (`kept`) differs in a setting; the message names it."""
    for name, value in settings.items():
        if kept.get(name) != value:
            raise InputError(
                f"{what} were made with {name} = {kept.get(name)!r}, and this run has {value!r}: "
                f"use the same, or another place for the output"
            )
