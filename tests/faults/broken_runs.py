"""Broken checkpoints and command lines."""

import io
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from numpy.random import Generator
from safetensors.torch import load_file, save

import run
from config import Config, ex, run_command_line
from modules.checkpoints.loading import load_weights
from modules.checkpoints.metadata import infer_sizes
from modules.checkpoints.reader import read_checkpoint
from modules.models.dest import DeST
from preproc.convert_checkpoint import describe
from tests.kit.small_world import settings

from .cases import Case, command, digest
from .mutations import broken_words, damage, restructure


def call_run(arguments: list[str]) -> None:
    """``run.py`` with these words, in this process."""
    assert run.main is not None  # run.py registers the command
    torch.set_num_threads(1)
    command(run_command_line, arguments)


def checkpoint_cases(folder: Path, random: Generator) -> Iterator[Case]:
    call_run(settings(folder, "max_epoch=1"))
    checkpoint = folder / "result/anetqa_seed0/version_0/checkpoints/last.ckpt"
    content = torch.load(checkpoint, weights_only=True)
    yield from damaged_checkpoints(folder, random, content)
    yield from changed_checkpoints(folder, random, content)


def saved(content: dict[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def damaged_checkpoints(folder: Path, random: Generator, whole: dict[str, Any]) -> Iterator[Case]:
    """Damaged bytes, in each format; the weights go into a network."""
    weights = whole["state_dict"]
    kept = {"state_dict": weights, "dest": whole["dest"]}
    formats: dict[str, tuple[bytes, Callable[[Path], dict[str, torch.Tensor]]]] = {
        "zip": (saved(kept), lambda path: weights),  # it has checksums: nothing else may come out
        "legacy": (
            saved(kept, _use_new_zipfile_serialization=False),
            lambda path: torch.load(path, weights_only=True)["state_dict"],
        ),
        "safetensors": (save(weights), load_file),
    }
    for name, (content, load) in formats.items():
        path = folder / f"{name}.ckpt"
        path.write_bytes(content)

        def read(path=path) -> str:
            file = read_checkpoint(path)
            describe(file)
            network = DeST(infer_sizes(file))
            load_weights(network, file, verbose=False)
            return weights_digest(network.state_dict())

        def reference(path=path, load=load) -> str:
            return weights_digest(load(path))

        for what, broken in damage(content, random, count=33):
            yield Case.of_file(f"{name}: {what}", path, broken, read, reference)


def weights_digest(weights: dict[str, torch.Tensor]) -> str:
    return digest({name: digest(weight.numpy()) for name, weight in weights.items()})


def changed_checkpoints(folder: Path, random: Generator, whole: dict[str, Any]) -> Iterator[Case]:
    """Whole files that say something else, as `load_path` of a test."""
    path, results = folder / "changed.ckpt", folder / "predictions"
    whole = {key: whole[key] for key in ("state_dict", "dest", "epoch", "callbacks")}
    path.write_bytes(saved(whole))
    arguments = ["with", "test_only=True", f"load_path={path}", f"data_root={folder / 'data'}", f"log_dir={results}"]

    def read() -> str:
        call_run([*arguments, "overwrite=True", "accelerator=cpu", "precision=32", "num_workers=0"])
        predictions, _ = sorted(results.glob("*.json"))
        return predictions.read_text()

    def reference() -> str:
        now = torch.load(path, weights_only=True)
        for name, weight in whole["state_dict"].items():
            assert now["state_dict"][name].shape == weight.shape, name
            assert now["state_dict"][name].isfinite().all(), name
        return read()

    for what, change in WEIGHT_CHANGES.items():
        broken = {**whole, "state_dict": {**whole["state_dict"]}}
        name = "frame_head.0.weight"
        broken["state_dict"][name] = change(broken["state_dict"][name])
        yield Case.of_file(f"a weight {what}", path, saved(broken), read, reference)
    # As many changes of what it was made with as of the weights, of which there are more.
    for part in ("state_dict", "dest"):
        for _ in range(25):
            what, changed = restructure(whole[part], random)
            yield Case.of_file(f"{part}: {what}", path, saved({**whole, part: changed}), read, reference)


WEIGHT_CHANGES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "transposed": lambda weight: weight.T.contiguous()[:-1],
    "of one axis": torch.flatten,
    "empty": lambda weight: weight[:0],
    "a NaN": lambda weight: weight.masked_fill(torch.eye(*weight.shape, dtype=torch.bool), float("nan")),
    "infinite": lambda weight: torch.full_like(weight, float("inf")),
    "complex": lambda weight: weight.to(torch.complex64),
    "of integers": lambda weight: weight.int(),
    "of booleans": lambda weight: weight > 0,
    "sparse": torch.Tensor.to_sparse,
    "a view that repeats one number": lambda weight: weight.new_zeros(1).expand(weight.shape),
}


def word_cases(folder: Path, random: Generator) -> Iterator[Case]:
    """Command lines; what may be right runs, one batch."""
    defaults = asdict(Config())
    for name, value in list(defaults.items()):
        if isinstance(value, dict):
            defaults |= {f"{name}.{part}": inner for part, inner in value.items()}
    # These three decide how much is done, and where.
    last = ["fast_dev_run=1", "num_gpus=1", f"log_dir={folder / 'result'}"]
    for what, words in broken_words(defaults, list(ex.named_configs), random, count=200):

        def read(words=words) -> str:
            call_run([*settings(folder), *words, *last])
            return "ran"

        yield Case(what, read, lambda: "ran", named="", before="ran")
