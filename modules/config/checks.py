"""Finds what is wrong with a command line or a configuration before anything is loaded, and says what to write instead.

All messages about settings live here, those about files and the machine in `path_checks` and `machine_checks`. Every
function takes plain arguments and raises `InputError` with one line.
"""

import itertools
import os
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from datasets.errors import InputError, did_you_mean, refusing

from .settings_files import is_settings_file

LIMITS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}  # attributes of `annotated_types`, and their signs

# --- the words of the command line -----------------------------------------------------------------------------------


@refusing
def check_words(
    words: Sequence[str], defaults: Mapping[str, Any], recipes: Iterable[str], commands: Iterable[str]
) -> Iterator[str]:
    """Checks ``[COMMAND] [with RECIPE key=value …]`` (what follows ``run.py``) for names that do not exist."""
    recipes, commands = list(recipes), list(commands)
    before = list(words[: words.index("with")]) if "with" in words else list(words)
    for word in before:
        if word.startswith("-"):
            break  # an option of Sacred's; it knows whether a value follows
        if "=" in word or word in recipes:
            yield f"write `with` before the settings: python run.py with {word} …"
        if word not in commands and word != "help":
            yield (
                f"no command or recipe is called {word!r}{did_you_mean(word, [*commands, *recipes])}; "
                f"commands: {', '.join(sorted(commands))}"
            )
        break
    for word in until_option(words[len(before) + 1 :]):
        key, is_setting, _ = word.partition("=")
        if is_settings_file(word):
            continue
        if is_setting:
            _check_key(key.strip(), defaults)
        elif word in defaults:
            yield f"{word} is a setting and needs a value: {word}={defaults[word]!r}"
        elif word not in recipes:
            yield (
                f"no recipe is called {word!r}{did_you_mean(word, recipes)}; recipes: {', '.join(sorted(recipes))}; "
                "a setting is written key=value, without spaces, and a file of settings ends in .json or .yaml"
            )


def until_option(words: Sequence[str]) -> list[str]:
    """The words before the first option of Sacred's, such as ``-F FOLDER``; what follows is its own to check."""
    return list(itertools.takewhile(lambda word: not word.startswith("-"), words))


@refusing
def _check_key(key: str, defaults: Mapping[str, Any]) -> Iterator[str]:
    name, *inner = key.split(".")
    if name not in defaults:
        yield (f"no setting is called {name!r}{did_you_mean(name, defaults)}; `python run.py print_config` lists all")
    if not inner:
        return
    inside = defaults[name]
    if not isinstance(inside, Mapping):
        yield f"{name} has no parts; write {name}=VALUE"
    if len(inner) > 1 or inner[0] not in inside:
        yield (
            f"{name} has no part called {'.'.join(inner)!r}{did_you_mean(inner[0], inside)}; parts: {', '.join(inside)}"
        )


# --- one value -------------------------------------------------------------------------------------------------------


def check_values(config: Mapping[str, Any], schema: type, found_in: str | os.PathLike | None = None) -> dict[str, Any]:
    """Checks type and range of every value.

    Args:
        schema: a dataclass with a field for each key; its annotations are the types, `annotated_types` the ranges.
        found_in: the checkpoint that some of the values come from, for messages.

    Returns:
        The same with exact types: an int where a float is meant becomes a float, a single name a list of one.
    """
    hints = typing.get_type_hints(schema, include_extras=True)
    for key in config:
        if key not in hints:
            _check_key(key, hints)
    return {key: _check_value(key, config[key], hint, found_in) for key, hint in hints.items()}


def check_updates(
    updates: Mapping[str, Any], defaults: Mapping[str, Any], schema: type, found_in: str | os.PathLike | None = None
) -> None:
    """Checks the settings that a command line or a file gives, before they are merged with anything.

    Args:
        updates: key -> value; of a setting with parts, a dict of those that are given.
        found_in: the file that they come from, for messages.
    """
    hints = typing.get_type_hints(schema, include_extras=True)
    for key, value in updates.items():
        if key not in defaults:  # in a file
            _check_key(key, defaults)
        if isinstance(value, Mapping) and isinstance(defaults[key], Mapping):
            for part in value:
                _check_key(f"{key}.{part}", defaults)
        _check_value(key, value, hints[key], found_in)


def _check_value(key: str, value: Any, hint: Any, found_in: str | os.PathLike | None = None) -> Any:
    """The value as exactly the type that the hint says."""
    if isinstance(value, str) and typing.get_origin(hint) is list:
        value = [value]
    try:
        return _adapter(hint).validate_python(value)
    except ValidationError:
        where = "" if found_in is None else f" (as {found_in} has it, unless the command line does)"
        meant = f"{key}={value!r}{_meant(key, value, hint)}{where}"
        raise InputError(f"{key} must be {describe_type(hint)}; got {meant}") from None


def _meant(key: str, value: Any, hint: Any) -> str:
    """Suggests what may have been meant, if that can be told."""
    if isinstance(value, str) and value.lower() in {"true", "false", "none", "null"}:
        word = {"true": "True", "false": "False"}.get(value.lower(), "None")
        return f" (write {key}={word})"
    if isinstance(value, int | float) and not isinstance(value, bool) and _fits(str(value), hint):
        return " (text that looks like a number needs quotes)"
    return ""


@cache
def _adapter(hint: Any) -> TypeAdapter:
    return TypeAdapter(hint, config=ConfigDict(strict=True, allow_inf_nan=False))


def _fits(value: Any, hint: Any) -> bool:
    try:
        _adapter(hint).validate_python(value)
    except ValidationError:
        return False
    return True


def describe_type(hint: Any) -> str:
    """Describes a type in words: ``a whole number ≥ 1, or None``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        limits = [
            f"{sign} {getattr(limit, name):g}"
            for limit in arguments[1:]
            for name, sign in LIMITS.items()
            if getattr(limit, name, None) is not None
        ]
        return f"{describe_type(arguments[0])} {' and '.join(limits)}"
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


def check_combinations(config: Mapping[str, Any]) -> None:
    """Checks settings against each other; `config` is what `check_values` returned."""
    for check in (_check_run, _check_sizes, _check_lengths, _check_training):
        check(config)


@refusing
def _check_run(config: Mapping[str, Any]) -> Iterator[str]:
    if not re.fullmatch(r"[\w.+-]*\w[\w.+-]*", config["exp_name"]):
        yield f"exp_name={config['exp_name']!r} names a folder; use letters, digits, and any of . _ - +"
    if not config["datasets"]:
        yield "datasets is empty; name one, as in datasets='[\"anetqa\"]'"
    if config["objective"] != "trm" and len(config["datasets"]) > 1:
        yield f"datasets={config['datasets']}: question answering takes one dataset; name one"
    if (config["answers"] or config["answer_file"]) and not (config["test_only"] and config["objective"] == "qa"):
        yield (
            "answers and answer_file are for a test of open-ended questions (test_only=True), ask and web: a training "
            "takes those of vocab.json, and multiple choice those of each question"
        )
    if config["test_only"] and config["resume_from"] is not None:
        yield "resume_from continues a training run; with test_only=True give load_path=CHECKPOINT instead"
    if config["test_only"] and config["load_path"] is None:
        yield "test_only=True needs a checkpoint to test: add load_path=CHECKPOINT"
    if config["probe"] and (config["objective"] == "trm" or not config["test_only"]):
        yield f"probe={config['probe']} is for testing question answering; add test_only=True and load_path=CHECKPOINT"
    of_clips = [probe for probe in config["probe"] if probe.endswith("_clips")]
    if of_clips and not config["temporal"]:
        yield f"probe={of_clips[0]}: this model sees no clips (temporal=False), so that no answer would change; drop it"
    if config["agqa_split"] is not None and config["datasets"] != ["agqa"] and not config["test_only"]:
        yield f"agqa_split={config['agqa_split']} is for datasets=agqa, not {config['datasets']}; drop it"
    if config["objective"] == "trm" and config["test_split"] != "test":
        yield f"test_split={config['test_split']} is for question answering; pre-training has one split to test"
    if config["published_quirks"] and not config["test_only"]:
        yield ("published_quirks=True is for testing the published checkpoints; add test_only=True or drop it")


@refusing
def _check_sizes(config: Mapping[str, Any]) -> Iterator[str]:
    image_size, patch_size, width = config["image_size"], config["patch_size"], config["hidden_size"]
    if image_size % patch_size:
        nearest = max(1, round(image_size / patch_size)) * patch_size
        yield (
            f"image_size={image_size} is not a multiple of patch_size={patch_size}; for example image_size={nearest}"
        )
    for group, name in (("vit_config", "vit_heads"), ("bert_config", "num_heads"), ("answer_config", "answer_heads")):
        heads = config[group].get(name)
        if heads and width % heads:
            fitting = next(number for number in range(min(heads, width), 0, -1) if width % number == 0)
            yield (
                f"hidden_size={width} cannot be split into {group}.{name}={heads} heads; "
                f"for example {group}.{name}={fitting}"
            )
    layers, text_layers = config["bert_config"]["num_layers"], config["bert_config"]["num_text_layers"]
    if text_layers >= layers:
        yield (
            f"bert_config.num_text_layers={text_layers} leaves no fusion layer of bert_config.num_layers={layers}; "
            f"lower it to at most {layers - 1}"
            if layers > 1
            else f"bert_config.num_layers={layers} is too few: one text and one fusion layer are needed, 2 in all"
        )


@refusing
def _check_lengths(config: Mapping[str, Any]) -> Iterator[str]:
    if config["temporal"] and config["max_video_len"] > config["max_pos_len"]:
        yield (
            f"max_video_len={config['max_video_len']} clips are more than the max_pos_len={config['max_pos_len']} "
            f"positions; lower it to max_video_len={config['max_pos_len']}"
        )
    if config["objective"] == "trm" and config["num_clips"] > config["max_video_len"]:
        yield (
            f"num_clips={config['num_clips']} clips do not fit into max_video_len={config['max_video_len']} features, "
            f"one each at least; lower it to num_clips={config['max_video_len']} or raise max_video_len"
        )
    positions = config["bert_config"].get("max_text_positions")
    extra = 5 if config["objective"] == "trm" else 0  # TRM's questions and captions are cut five tokens later
    if positions and config["max_text_len"] is not None and config["max_text_len"] + extra > positions:
        yield (
            f"max_text_len={config['max_text_len']} tokens are more than the text encoder's {positions} positions; "
            f"lower it to at most {positions - extra}"
        )
    if config["objective"] == "trm" and config["max_text_len"] is None:
        yield "max_text_len=None: captions are of any length, set the tokens to keep, as in max_text_len=40"


@refusing
def _check_training(config: Mapping[str, Any]) -> Iterator[str]:
    if config["test_only"]:
        return
    if config["max_epoch"] is None and config["max_steps"] is None:
        yield "the run has no end: set max_epoch=N or max_steps=N, or use a recipe, as task_finetune_anetqa"
    batch_size, per_gpu = config["batch_size"], config["per_gpu_batchsize"]
    devices = config["num_gpus"] * config["num_nodes"]
    if batch_size % (per_gpu * devices):
        said = (
            f"batch_size={batch_size} cannot be reached: per_gpu_batchsize={per_gpu} × num_gpus={config['num_gpus']} × "
            f"num_nodes={config['num_nodes']} = {per_gpu * devices} questions at once"
        )
        if batch_size % devices:
            nearest = max(1, round(batch_size / (per_gpu * devices))) * per_gpu * devices
            yield f"{said}; {devices} GPUs need a batch_size that they divide, as batch_size={nearest}"
        share = batch_size // devices
        fitting = next(number for number in range(min(per_gpu, share), 0, -1) if share % number == 0)
        yield f"{said} do not divide it; for example per_gpu_batchsize={fitting}"
    if config["end_lr"] >= config["learning_rate"]:
        yield (
            f"end_lr={config['end_lr']:g} is not below learning_rate={config['learning_rate']:g}, from which the rate "
            "comes down to it; lower end_lr"
        )
    warmup, steps = config["warmup_steps"], config["max_steps"]
    if isinstance(warmup, float) and warmup > 1:
        yield (
            f"warmup_steps={warmup} is a float, thus a share of the run, and above 1; "
            f"for steps write warmup_steps={warmup:.0f}"
        )
    if isinstance(warmup, int) and steps is not None and warmup >= steps:
        yield (
            f"warmup_steps={warmup} is not below max_steps={steps}: the rate would never come down; "
            f"for example warmup_steps={steps // 10}"
        )
    interval = config["val_check_interval"]
    if isinstance(interval, float) and not 0 < interval <= 1:
        yield (
            f"val_check_interval={interval} is a float, thus a share of an epoch (above 0, at most 1); "
            f"for optimizer steps write a whole number, as val_check_interval={max(1, round(interval))}"
        )
    if isinstance(interval, int) and interval < 1:
        yield f"val_check_interval={interval}: optimizer steps are at least 1; 1.0 means once per epoch"


@refusing
def check_tokenizer(
    words: Sequence[str], config: Mapping[str, Any], trained_with: Sequence[str] | None = None
) -> Iterator[str]:
    """Checks that the text encoder has an embedding for each of the tokenizer's tokens, and that of the same token.

    Args:
        words: the tokenizer's tokens, by id.
        trained_with: those of the checkpoint; None: it does not say.
    """
    num_tokens, rows = len(words), config["bert_config"]["vocab_size"]
    if trained_with and list(words) != list(trained_with):
        yield (
            f"tokenizer={config.get('tokenizer')} has other tokens than the one that the checkpoint was trained with, "
            "whose answers would mean nothing; leave it out"
        )
    if num_tokens > rows:
        yield (
            f"the tokenizer has {num_tokens} tokens, more than bert_config.vocab_size={rows} embeddings; "
            "give the tokenizer that the checkpoint was trained with"
        )
