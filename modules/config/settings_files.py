"""Files of settings named after ``with``, JSON or YAML: plain values alone, whatever else a file asks for."""

import ast
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from datasets.errors import InputError, explained
from datasets.files import reading

SUFFIXES = (".json", ".yaml", ".yml")


def is_settings_file(word: str) -> bool:
    """True if a word of the command line names a file of settings."""
    return "=" not in word and Path(word).suffix.lower() in SUFFIXES


def read_settings(path: str, text_keys: Collection[str]) -> dict[str, Any]:
    """key -> value, of a file such as a run's ``hparams.yaml``, or the ``config.json`` of Sacred's observer.

    Args:
        text_keys: settings that are text; of all others, text is read as on the command line (to YAML 1e-5 is text).

    Raises:
        InputError: it cannot be read, or is anything but one object of plain values.
    """
    with reading(path):
        text = Path(path).read_text(encoding="utf-8")
    with explained(f"{path} is not a file of settings", ValueError, TypeError, yaml.YAMLError, RecursionError):
        # Neither calls anything: Sacred's own reader would hand both to jsonpickle or to YAML's constructors.
        values = plain(json.loads(text) if path.lower().endswith(".json") else yaml.safe_load(text))
    if not isinstance(values, dict):
        raise InputError(f"{path} is not a file of settings: it holds no keys and values, as `nframe: 8` in YAML")
    return {
        key: parse_value(value) if isinstance(value, str) and key not in text_keys else value
        for key, value in values.items()
    }


def parse_value(text: str) -> Any:
    """The value that the command line gives a setting: a Python literal of plain values, or else the text as it stands.

    In Sacred's place, which hands literals to jsonpickle: that reads ``{'py/reduce': …}``, also in the name of a file,
    as a call of any function.
    """
    try:
        return plain(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return text


def parse_text(text: str, is_list: bool = False) -> Any:
    """Parses a setting that is text: what was typed is what it is called, be it a number to Python.

    Text in quotes and None are what they are to Python; where a list is meant, so is that.
    """
    text = text.strip()
    value = parse_value(text)
    if value is None or isinstance(value, str):
        return value
    if is_list and isinstance(value, list):
        return [parse_text(ast.get_source_segment(text, item)) for item in ast.parse(text, mode="eval").body.elts]
    return text


def plain(value: Any) -> Any:
    """The value with lists for tuples. Raises TypeError for whatever is not plain."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) and not key.startswith("py/") for key in value):
        return {key: plain(item) for key, item in value.items()}
    raise TypeError(f"{value if isinstance(value, dict) else type(value).__name__} is no value of a setting")
