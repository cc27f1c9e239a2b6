"""Finds what is wrong with a command line or a configuration before anything is loaded, and says what to write instead.

All messages about settings live here. Every function takes plain arguments and raises `InputError` with one line.
"""

import math
import os
import re
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from datasets.errors import InputError, did_you_mean


@dataclass(frozen=True)
class Range:
    """The numbers a setting may take; `Annotated` types in `config.Config` carry one."""

    low: float
    high: float = math.inf
    low_is_allowed: bool = True
    high_is_allowed: bool = True

    def __contains__(self, value: float) -> bool:
        above = self.low <= value if self.low_is_allowed else self.low < value
        below = value <= self.high if self.high_is_allowed else value < self.high
        return above and below and math.isfinite(value)

    def __str__(self) -> str:
        low = f"{'≥' if self.low_is_allowed else '>'} {self.low:g}"
        if self.high == math.inf:
            return low
        return f"{low} and {'≤' if self.high_is_allowed else '<'} {self.high:g}"


# --- the words of the command line -----------------------------------------------------------------------------------


def check_words(
    words: Sequence[str], defaults: Mapping[str, Any], recipes: Iterable[str], commands: Iterable[str]
) -> None:
    """Checks ``[COMMAND] [with RECIPE key=value …]`` (what follows ``run.py``) for names that do not exist."""
    recipes, commands = list(recipes), list(commands)
    before = list(words[: words.index("with")]) if "with" in words else list(words)
    for word in before:
        if word.startswith("-"):
            break  # an option of Sacred's; it knows whether a value follows
        if "=" in word or word in recipes:
            raise InputError(f"write `with` before the settings: python run.py with {word} …")
        if word not in commands and word != "help":
            raise InputError(
                f"no command or recipe is called {word!r}{did_you_mean(word, [*commands, *recipes])}; "
                f"commands: {', '.join(sorted(commands))}"
            )
        break
    for word in words[len(before) + 1 :]:
        key, is_setting, _ = word.partition("=")
        if is_setting:
            _check_key(key.strip(), defaults)
        elif word in defaults:
            raise InputError(f"{word} is a setting and needs a value: {word}={defaults[word]!r}")
        elif word not in recipes:
            raise InputError(
                f"no recipe is called {word!r}{did_you_mean(word, recipes)}; recipes: {', '.join(sorted(recipes))}; "
                "a setting is written key=value, without spaces"
            )


def _check_key(key: str, defaults: Mapping[str, Any]) -> None:
    name, *inner = key.split(".")
    if name not in defaults:
        raise InputError(
            f"no setting is called {name!r}{did_you_mean(name, defaults)}; `python run.py print_config` lists all"
        )
    if not inner:
        return
    inside = defaults[name]
    if not isinstance(inside, Mapping):
        raise InputError(f"{name} has no parts; write {name}=VALUE")
    if len(inner) > 1 or inner[0] not in inside:
        raise InputError(
            f"{name} has no part called {'.'.join(inner)!r}{did_you_mean(inner[0], inside)}; parts: {', '.join(inside)}"
        )


LARGEST_WHOLE_NUMBER = 2**32 - 1  # of a seed; for anything else, far beyond what there is a use for


# --- one value -------------------------------------------------------------------------------------------------------


def check_values(config: Mapping[str, Any], schema: type, found_in: str | os.PathLike | None = None) -> dict[str, Any]:
    """Checks type and range of every value.

    Args:
        config: key -> value.
        schema: a dataclass with a field for each key; its annotations are the types, `Range` in `Annotated` the range.
        found_in: the checkpoint that some of the values come from, for messages.

    Returns:
        The same with exact types: an int where a float is meant becomes a float, a single name a list of one.
    """
    hints = typing.get_type_hints(schema, include_extras=True)
    for key in config:
        if key not in hints:
            _check_key(key, hints)
    return {key: _check_value(key, config[key], hint, found_in) for key, hint in hints.items()}


def check_updates(updates: Mapping[str, Any], defaults: Mapping[str, Any], schema: type) -> None:
    """Checks the settings that a command line gives, before they are merged with anything.

    Args:
        updates: key -> value; of a setting with parts, a dict of those that are given.
        defaults: key -> value.
        schema: as for `check_values`.
    """
    hints = typing.get_type_hints(schema, include_extras=True)
    for key, value in updates.items():
        if isinstance(value, Mapping) and isinstance(defaults[key], Mapping):
            for part in value:
                _check_key(f"{key}.{part}", defaults)
        _check_value(key, value, hints[key])


def _check_value(key: str, value: Any, hint: Any, found_in: str | os.PathLike | None = None) -> Any:
    """The value as exactly the type that the hint says."""
    accepted, fitted = _fit(value, hint)
    if not accepted:
        where = "" if found_in is None else f" (as {found_in} has it, unless the command line does)"
        raise InputError(f"{key} must be {describe_type(hint)}; got {key}={value!r}{_meant(key, value, hint)}{where}")
    return fitted


def _meant(key: str, value: Any, hint: Any) -> str:
    """What may have been meant, where it can be told."""
    if isinstance(value, int) and abs(value) > LARGEST_WHOLE_NUMBER:
        return f" (whole numbers go up to {LARGEST_WHOLE_NUMBER:,})"
    if isinstance(value, str) and value.lower() in {"true", "false", "none", "null"}:
        word = {"true": "True", "false": "False"}.get(value.lower(), "None")
        return f" (write {key}={word})"
    if isinstance(value, int | float) and not isinstance(value, bool) and _fit(str(value), hint)[0]:
        return f" (text that looks like a number needs two pairs of quotes: {key}=\"'{value}'\")"
    return ""


def _fit(value: Any, hint: Any) -> tuple[bool, Any]:
    """Whether the value is of that type, and the value as exactly that type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        accepted, value = _fit(value, arguments[0])
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return accepted and (not number or all(value in limits for limits in arguments[1:])), value
    if origin in (typing.Union, types.UnionType):
        # An exact match first: 1 is an int where int and float mean different units.
        for exact in (True, False):
            for part in arguments:
                accepted, fitted = _fit(value, part)
                if accepted and (not exact or type(fitted) is type(value)):
                    return True, fitted
        return False, value
    if origin is Literal:
        return any(value == choice and type(value) is type(choice) for choice in arguments), value
    if origin is list:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            return False, value
        fits = [_fit(item, arguments[0]) for item in items]
        return all(accepted for accepted, _ in fits), [fitted for _, fitted in fits]
    if origin is dict:
        if not isinstance(value, Mapping):
            return False, value
        fits = {name: _fit(item, arguments[1]) for name, item in value.items()}
        return all(accepted for accepted, _ in fits.values()), {name: fitted for name, (_, fitted) in fits.items()}
    if hint is type(None) or hint is None:
        return value is None, value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return True, float(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_WHOLE_NUMBER, value
    return isinstance(value, hint), value


def describe_type(hint: Any) -> str:
    """In words: ``a whole number ≥ 1, or None``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return " ".join([describe_type(arguments[0]), *map(str, arguments[1:])])
    if origin in (typing.Union, types.UnionType):
        return ", or ".join(map(describe_type, arguments))
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if origin is list:
        return f"a list, each entry {describe_type(arguments[0])}"
    if origin is dict:
        return f"a dict, each value {describe_type(arguments[1])}"
    words = {bool: "True or False", int: "a whole number", float: "a number", str: "text", type(None): "None"}
    return words[hint]


# --- what values mean together ---------------------------------------------------------------------------------------


def check_combinations(config: Mapping[str, Any], num_gpus_here: int, environment: Mapping[str, str]) -> None:
    """Checks settings against each other and against the machine.

    Args:
        config: what `check_values` returned.
        num_gpus_here: GPUs of this machine.
        environment: `os.environ`; says whether torchrun or SLURM started this process.
    """
    for check in (_check_run, _check_sizes, _check_lengths, _check_training):
        check(config)
    _check_machine(config, num_gpus_here, environment)


def _check_run(config: Mapping[str, Any]) -> None:
    if not re.fullmatch(r"[\w.+-]*\w[\w.+-]*", config["exp_name"]):
        raise InputError(f"exp_name={config['exp_name']!r} names a folder; use letters, digits, and any of . _ - +")
    if not config["datasets"]:
        raise InputError("datasets is empty; name one, as in datasets='[\"anetqa\"]'")
    if config["objective"] == "qa" and len(config["datasets"]) > 1:
        raise InputError(
            f"datasets={config['datasets']}: question answering has one vocabulary, thus one data set; name one"
        )
    if config["test_only"] and config["resume_from"] is not None:
        raise InputError("resume_from continues a training run; with test_only=True give load_path=CHECKPOINT instead")
    if config["test_only"] and config["load_path"] is None:
        raise InputError("test_only=True needs a checkpoint to test: add load_path=CHECKPOINT")
    if config["published_quirks"] and not config["test_only"]:
        raise InputError(
            "published_quirks=True is for testing the published checkpoints; add test_only=True or drop it"
        )


LAYERS = (("vit_config", "vit_depth"), ("bert_config", "num_layers"), ("answer_config", "answer_layers"))
MOST_LAYERS = 256  # no network has as many; without a limit, one would be built until the memory is full


def _check_sizes(config: Mapping[str, Any]) -> None:
    image_size, patch_size, width = config["image_size"], config["patch_size"], config["hidden_size"]
    if image_size % patch_size:
        nearest = max(1, round(image_size / patch_size)) * patch_size
        raise InputError(
            f"image_size={image_size} is not a multiple of patch_size={patch_size}; for example image_size={nearest}"
        )
    for group, name in (("vit_config", "vit_heads"), ("bert_config", "num_heads"), ("answer_config", "answer_heads")):
        heads = config[group].get(name)
        if heads and width % heads:
            fitting = next(number for number in range(min(heads, width), 0, -1) if width % number == 0)
            raise InputError(
                f"hidden_size={width} cannot be split into {group}.{name}={heads} heads; "
                f"for example {group}.{name}={fitting}"
            )
    for group, name in LAYERS:
        if config[group].get(name, 0) > MOST_LAYERS:
            raise InputError(f"{group}.{name}={config[group][name]} layers are more than {MOST_LAYERS}; write fewer")
    layers, text_layers = config["bert_config"]["num_layers"], config["bert_config"]["num_text_layers"]
    if text_layers >= layers:
        raise InputError(
            f"bert_config.num_text_layers={text_layers} leaves no fusion layer of bert_config.num_layers={layers}; "
            f"lower it to at most {layers - 1}"
            if layers > 1
            else f"bert_config.num_layers={layers} is too few: one text and one fusion layer are needed, 2 in all"
        )


def _check_lengths(config: Mapping[str, Any]) -> None:
    if config["temporal"] and config["max_video_len"] > config["max_pos_len"]:
        raise InputError(
            f"max_video_len={config['max_video_len']} clips are more than the max_pos_len={config['max_pos_len']} "
            f"positions; lower it to max_video_len={config['max_pos_len']}"
        )
    if config["objective"] == "trm" and config["num_clips"] > config["max_video_len"]:
        raise InputError(
            f"num_clips={config['num_clips']} clips do not fit into max_video_len={config['max_video_len']} features, "
            f"one each at least; lower it to num_clips={config['max_video_len']} or raise max_video_len"
        )
    positions = config["bert_config"].get("max_text_positions")
    extra = 5 if config["objective"] == "trm" else 0  # TRM's questions and captions are cut five tokens later
    if positions and config["max_text_len"] is not None and config["max_text_len"] + extra > positions:
        raise InputError(
            f"max_text_len={config['max_text_len']} tokens are more than the text encoder's {positions} positions; "
            f"lower it to at most {positions - extra}"
        )
    if config["objective"] == "trm" and config["max_text_len"] is None:
        raise InputError("max_text_len=None: captions are of any length, set the tokens to keep, as in max_text_len=40")


def _check_training(config: Mapping[str, Any]) -> None:
    if config["test_only"]:
        return
    if config["max_epoch"] is None and config["max_steps"] is None:
        raise InputError("the run has no end: set max_epoch=N or max_steps=N, or use a recipe, as task_finetune_anetqa")
    batch_size, per_gpu = config["batch_size"], config["per_gpu_batchsize"]
    devices = config["num_gpus"] * config["num_nodes"]
    if batch_size % (per_gpu * devices):
        said = (
            f"batch_size={batch_size} cannot be reached: per_gpu_batchsize={per_gpu} × num_gpus={config['num_gpus']} × "
            f"num_nodes={config['num_nodes']} = {per_gpu * devices} questions at once"
        )
        if batch_size % devices:
            nearest = max(1, round(batch_size / (per_gpu * devices))) * per_gpu * devices
            raise InputError(f"{said}; {devices} GPUs need a batch_size that they divide, as batch_size={nearest}")
        share = batch_size // devices
        fitting = next(number for number in range(min(per_gpu, share), 0, -1) if share % number == 0)
        raise InputError(f"{said} do not divide it; for example per_gpu_batchsize={fitting}")
    if config["questions_per_video"] > per_gpu:
        raise InputError(
            f"questions_per_video={config['questions_per_video']} do not fit into per_gpu_batchsize={per_gpu}; "
            f"lower it to at most {per_gpu}"
        )
    if config["end_lr"] >= config["learning_rate"]:
        raise InputError(
            f"end_lr={config['end_lr']:g} is not below learning_rate={config['learning_rate']:g}, from which the rate "
            "comes down to it; lower end_lr"
        )
    warmup, steps = config["warmup_steps"], config["max_steps"]
    if isinstance(warmup, float) and warmup > 1:
        raise InputError(
            f"warmup_steps={warmup} is a float, thus a share of the run, and above 1; "
            f"for steps write warmup_steps={warmup:.0f}"
        )
    if isinstance(warmup, int) and steps is not None and warmup >= steps:
        raise InputError(
            f"warmup_steps={warmup} is not below max_steps={steps}: the rate would never come down; "
            f"for example warmup_steps={steps // 10}"
        )
    interval = config["val_check_interval"]
    if isinstance(interval, float) and not 0 < interval <= 1:
        raise InputError(
            f"val_check_interval={interval} is a float, thus a share of an epoch (above 0, at most 1); "
            f"for optimizer steps write a whole number, as val_check_interval={max(1, round(interval))}"
        )
    if isinstance(interval, int) and interval < 1:
        raise InputError(f"val_check_interval={interval}: optimizer steps are at least 1; 1.0 means once an epoch")


def check_tokenizer(num_tokens: int, config: Mapping[str, Any]) -> None:
    """Checks that the text encoder has an embedding for each of the tokenizer's tokens."""
    rows = config["bert_config"]["vocab_size"]
    if num_tokens > rows:
        raise InputError(
            f"the tokenizer has {num_tokens} tokens, more than bert_config.vocab_size={rows} embeddings; "
            "give the tokenizer that the checkpoint was trained with"
        )


def check_paths(config: Mapping[str, Any]) -> None:
    """Checks that what the settings name exists, and that the log folder can be written."""
    if config["data_root"] is None:
        raise InputError("data_root is not set: add data_root=FOLDER, as data_root=data/anetqa, or use a recipe")
    check_exists("data_root", config["data_root"], Path.is_dir, "a folder")
    if config["load_path"] is not None:
        check_exists("load_path", config["load_path"], Path.is_file, "a file")
    if config["resume_from"] not in (None, "last"):
        check_exists("resume_from", config["resume_from"], Path.is_file, "a file")
    existing = _closest_existing(Path(config["log_dir"]))
    if not existing.is_dir():
        raise InputError(f"log_dir={config['log_dir']!r}: {existing} is a file; choose a folder")
    if not os.access(existing, os.W_OK):
        raise InputError(f"log_dir={config['log_dir']!r}: {existing} cannot be written to; choose another log_dir")


def check_asked(config: Mapping[str, Any]) -> None:
    """Checks what `ask` needs: files that exist, and something to ask."""
    if config["video"] is None:
        raise InputError("video is not set: add video=FILE, the video to ask about")
    check_files(config, ("video", "load_path", "swin_path", "question_file"))
    if not config["question"] and config["question_file"] is None:
        raise InputError('nothing is asked: add question="what is the person doing", or question_file=FILE')
    if not all(question.strip() for question in config["question"]):
        raise InputError('question is empty: write what is asked in quotes, question="what is the person doing"')


def check_files(config: Mapping[str, Any], keys: Iterable[str]) -> None:
    """Checks that the files exist that settings name, as far as they name any."""
    for key in keys:
        if config[key] is not None:
            check_exists(key, config[key], Path.is_file, "a file")


def check_exists(key: str, path: str, is_right_kind: Callable[[Path], bool], kind: str) -> None:
    """Raises InputError unless `path` is of that kind; the message names the closest folder that exists."""
    if is_right_kind(Path(path)):
        return
    if Path(path).exists():
        raise InputError(f"{key}={path!r} is not {kind}")
    existing = _closest_existing(Path(path))
    missing = Path(path).relative_to(existing).parts[0] if existing != Path() else Path(path).parts[0]
    try:
        neighbours = sorted(entry.name for entry in existing.iterdir())
    except OSError:
        neighbours = []
    raise InputError(
        f"{key}={path!r} does not exist; {existing.resolve()} does, but holds no {missing!r}"
        f"{did_you_mean(missing, neighbours)}"
    )


def _closest_existing(path: Path) -> Path:
    return next((parent for parent in (path, *path.parents) if parent.exists()), Path())


def choose_precision(config: Mapping[str, Any], given: Collection[str], num_gpus_here: int) -> tuple[str, int | str]:
    """Device and precision of a command that uses one device; on the CPU, float32 unless another precision is given."""
    on_gpu = config["accelerator"] != "cpu" and num_gpus_here > 0
    precision = config["precision"] if on_gpu or "precision" in given else 32
    _check_machine(config | {"num_gpus": 1, "num_nodes": 1, "precision": precision}, num_gpus_here, {})
    return "cuda" if on_gpu else "cpu", precision


def _check_machine(config: Mapping[str, Any], num_gpus_here: int, environment: Mapping[str, str]) -> None:
    accelerator, wanted = config["accelerator"], config["num_gpus"]
    on_gpu = accelerator == "gpu" or (accelerator == "auto" and num_gpus_here > 0)
    if accelerator == "gpu" and num_gpus_here == 0:
        raise InputError("accelerator=gpu, but PyTorch finds no GPU here; write accelerator=cpu precision=32")
    if on_gpu and wanted > num_gpus_here:
        raise InputError(f"num_gpus={wanted}, but this machine has {num_gpus_here}; write num_gpus={num_gpus_here}")
    if not on_gpu and config["precision"] == 16:
        reason = "accelerator=cpu" if accelerator == "cpu" else "there is no GPU here"
        raise InputError(f"precision=16 needs a GPU, and {reason}; write precision=32 (or precision=bf16)")
    processes = wanted * config["num_nodes"]
    if "TORCHELASTIC_RUN_ID" in environment and int(environment["WORLD_SIZE"]) != processes:
        raise InputError(
            f"torchrun started {environment['WORLD_SIZE']} processes, but num_gpus={wanted} × "
            f"num_nodes={config['num_nodes']} = {processes}; "
            "make --nproc-per-node equal to num_gpus, and --nnodes to num_nodes"
        )
    started_by = ("TORCHELASTIC_RUN_ID", "SLURM_JOB_ID", "NODE_RANK", "MASTER_ADDR")
    if config["num_nodes"] > 1 and not any(name in environment for name in started_by):
        raise InputError(
            f"num_nodes={config['num_nodes']}: start the same command on every node by torchrun or srun "
            "(see the README), or write num_nodes=1"
        )
