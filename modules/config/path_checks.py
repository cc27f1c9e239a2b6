"""Checks that the files and folders that settings name are there; as in `checks`, before anything is loaded."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from datasets.errors import did_you_mean, refusing


@refusing
def check_paths(config: Mapping[str, Any]) -> Iterator[str]:
    """Checks that what the settings name exists, and that the log folder can be written."""
    if config["data_root"] is None:
        yield "data_root is not set: add data_root=FOLDER, as data_root=data/anetqa, or use a recipe"
    check_exists("data_root", config["data_root"], Path.is_dir, "a folder")
    if config["load_path"] is not None:
        check_exists("load_path", config["load_path"], Path.is_file, "a file")
    check_files(config, ("answer_file",))
    if config["resume_from"] not in (None, "last", "auto"):
        check_exists("resume_from", config["resume_from"], Path.is_file, "a file")
    existing = _closest_existing(Path(config["log_dir"]))
    if not existing.is_dir():
        yield f"log_dir={config['log_dir']!r}: {existing} is a file; choose a folder"
    if not os.access(existing, os.W_OK):
        yield f"log_dir={config['log_dir']!r}: {existing} cannot be written to; choose another log_dir"


@refusing
def check_asked(config: Mapping[str, Any]) -> Iterator[str]:
    """Checks what `ask` needs: files that exist, and something to ask."""
    if config["video"] is None:
        yield "video is not set: add video=FILE, the video to ask about"
    check_files(config, ("video", "load_path", "swin_path", "question_file", "answer_file"))
    if not config["question"] and config["question_file"] is None:
        yield 'nothing is asked: add question="what is the person doing", or question_file=FILE'
    if not all(question.strip() for question in config["question"]):
        yield 'question is empty: write what is asked in quotes, question="what is the person doing"'


def check_files(config: Mapping[str, Any], keys: Iterable[str]) -> None:
    """Checks that the files exist that settings name, as far as they name any."""
    for key in keys:
        if config[key] is not None:
            check_exists(key, config[key], Path.is_file, "a file")


@refusing
def check_exists(key: str, path: str, is_right_kind: Callable[[Path], bool], kind: str) -> Iterator[str]:
    """Raises InputError unless `path` is of that kind; the message names the closest folder that exists."""
    if is_right_kind(Path(path)):
        return
    if Path(path).exists():
        yield f"{key}={path!r} is not {kind}"
    existing = _closest_existing(Path(path))
    missing = Path(path).relative_to(existing).parts[0] if existing != Path() else Path(path).parts[0]
    try:
        neighbours = sorted(entry.name for entry in existing.iterdir())
    except OSError:
        neighbours = []
    yield (
        f"{key}={path!r} does not exist; {existing.resolve()} does, but holds no {missing!r}"
        f"{did_you_mean(missing, neighbours)}"
    )


def _closest_existing(path: Path) -> Path:
    return next((parent for parent in (path, *path.parents) if parent.exists()), Path())
