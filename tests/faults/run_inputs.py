"""Checkpoints, logs and settings of runs to be broken."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from config import Config, run_command_line
from modules.checkpoints.loading import load_weights
from modules.checkpoints.metadata import infer_sizes
from modules.checkpoints.reader import read_checkpoint
from modules.evaluation.page.curves import read_run
from modules.models.dest import DeST
from preproc.convert_checkpoint import describe
from tests.kit.runs import load, run_folder, train
from tests.kit.small_world import settings

from .cases import Input, command, digest
from .mutations import Broken, Random, broken_json, damage, restructure

ODD_WORDS = (
    *("", "-1", "1.5", "1e-30", "1e400", "nan", "-inf", "None", "True", "none", "[0]", "[None]", "{}", "{'a':1}"),
    *("'3'", "x", "../x", "/dev/null", "; touch injected", "(", "'", "a b", "é", "x" * 5000),
    *("__import__('os').system('touch injected')", *map(str, (0, 1, 2, 3, 7, 17, 1000, 10**9, 2**63, 10**30))),
)
ODD_WEIGHTS: tuple[Callable[[torch.Tensor], torch.Tensor], ...] = (
    *(torch.Tensor.int, torch.Tensor.cfloat, torch.Tensor.to_sparse, torch.log, torch.flatten),
    *(lambda weight: weight[:0], lambda weight: weight.new_zeros(1).expand(weight.shape)),
)


def saved(content: dict[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def trained(world: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    return load(train(world, "it", "max_epoch=1") / "checkpoints/last.ckpt")


def checkpoint_inputs(world: Path, random: Random) -> Iterator[Input]:
    """Of each format; the weights go into a network."""
    whole = trained(world)
    weights = whole["state_dict"]
    kept = {"state_dict": weights, "dest": whole["dest"]}
    formats: dict[str, tuple[bytes, Callable[[Path], dict[str, torch.Tensor]]]] = {
        "zip": (saved(kept), lambda path: weights),  # it has checksums: nothing else may come out
        "legacy": (saved(kept, _use_new_zipfile_serialization=False), lambda path: load(path)["state_dict"]),
        "safetensors": (save(weights), load_file),
    }

    def read(path: Path) -> str:
        file = read_checkpoint(path)
        describe(file)
        network = DeST(infer_sizes(file))
        load_weights(network, file, verbose=False)
        return as_text(network.state_dict())

    def as_text(weights: dict[str, torch.Tensor]) -> str:
        return digest({name: weight.numpy() for name, weight in weights.items()})

    for name, (content, other_reader) in formats.items():
        path = world / f"{name}.ckpt"
        path.write_bytes(content)
        reference = partial(lambda path, reader: as_text(reader(path)), path, other_reader)
        yield Input(path, partial(read, path), reference, damage(content, random, count=33))


def forged_inputs(world: Path, random: Random) -> Iterator[Input]:
    """Whole files, with checksums that are right, which say something else; as `load_path` of a test."""
    path, results = world / "forged.ckpt", world / "predictions"
    whole = {key: own for key, own in trained(world).items() if key in ("state_dict", "dest", "epoch", "callbacks")}
    path.write_bytes(saved(whole))
    words = ["with", "test_only=True", f"load_path={path}", f"data_root={world / 'data'}", f"log_dir={results}"]
    words += ["overwrite=True", "accelerator=cpu", "precision=32", "num_workers=0"]

    def read() -> str:
        command(run_command_line, words)
        predictions, _ = sorted(results.glob("*.json"))
        return predictions.read_text()

    def reference() -> str:
        now = load(path)["state_dict"]
        for name, weight in whole["state_dict"].items():
            assert now[name].shape == weight.shape and now[name].isfinite().all(), name
        return read()

    def changed() -> Iterator[Broken]:
        name = "frame_head.0.weight"
        for change in ODD_WEIGHTS:
            weights = {**whole["state_dict"], name: change(whole["state_dict"][name])}
            yield f"{name}, {change}", saved({**whole, "state_dict": weights})
        for part in ("state_dict", "dest") * 25:
            what, other = restructure(whole[part], random)
            yield f"{part}: {what}", saved({**whole, part: other})

    yield Input(path, read, reference, changed(), may_be_unclear=True)


def log_inputs(world: Path, random: Random) -> Iterator[Input]:
    """As the page of results reads them, for curves."""
    trained(world)
    path = run_folder(world, "it") / "metrics.csv"
    read = lambda: digest(read_run(path.parent).metrics)  # noqa: E731
    yield Input(path, read, read, damage(path.read_bytes(), random, count=44), may_be_unclear=True)


def settings_inputs(world: Path, random: Random) -> Iterator[Input]:
    """On the command line and as a file; what may be right runs, one batch."""
    last = ["fast_dev_run=1", "num_gpus=1", f"log_dir={world / 'result'}"]  # how much is done, and where
    defaults = asdict(Config())
    names = [*defaults, *(f"{name}.{part}" for name, own in defaults.items() if isinstance(own, dict) for part in own)]
    words, path = world / "words", world / "settings.json"
    words.write_text("seed=1")
    path.write_text(json.dumps(defaults))

    def read(*own: str) -> str:
        torch.set_num_threads(1)
        command(run_command_line, [*settings(world, *own), *last])
        return "ran"

    def odd_words() -> Iterator[Broken]:
        for number in range(150):
            own = [f"{random.choice(names)}={random.choice(ODD_WORDS)}" for _ in range(random.integers(1, 4))]
            own[0] = own[0].replace("_", "", 1) if number % 8 == 0 else own[0]
            yield f"{own!r:.100}", "\n".join(own).encode()

    yield Input(words, lambda: read(*words.read_text().split("\n")), lambda: "ran", odd_words(), named="")
    yield Input(path, lambda: read(str(path)), lambda: "ran", broken_json(defaults, random, structural=60), named="")
