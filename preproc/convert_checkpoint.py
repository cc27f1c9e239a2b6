"""Any checkpoint to .safetensors and back, and what is in it.

    python preproc/convert_checkpoint.py anetqa.ckpt anetqa.safetensors
    python preproc/convert_checkpoint.py anetqa.safetensors anetqa.ckpt
    python preproc/convert_checkpoint.py --info vqa.pth

Weights keep their names and their bits. What a checkpoint saved here was made with (config, vocabulary, versions) goes
along; what belongs to its training (optimizer, schedule) does not: resume from the original. No code in a file is run.
"""

import argparse
import json
import sys
from pathlib import Path

if not __package__:  # run as a file: our own `datasets` lies beside this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import pandas as pd
import torch
from safetensors.torch import save
from torch import Tensor

from datasets.errors import InputError, explained, run_cli
from datasets.files import atomic_write
from modules.checkpoints.metadata import infer_sizes
from modules.checkpoints.names import KINDS, kind_of, part_of, published_name, published_weights
from modules.checkpoints.reader import METADATA_KEY, CheckpointFile, read_checkpoint

TORCH_SUFFIXES = (".ckpt", ".pth", ".pt")
# Kind -> what such a file is good for.
USES = {
    "albef": "load_path of task_pretrain_trm and of the *_mean tasks",
    "trm": "load_path of task_finetune_anetqa and task_finetune_agqa, or of task_pretrain_trm with test_only=True",
    "qa": "load_path with test_only=True, or of another fine-tuning",
    "mean": "load_path of a *_mean task with test_only=True",
    "swin": "--checkpoint of preproc/extract_features.py",
    "other": "nothing here",
}


def convert(source: str | Path, target: str | Path) -> None:
    """Writes the weights of any checkpoint in the format that the suffix of `target` names; whole or not at all.

    Raises:
        InputError: the source cannot be read, the suffix is not known, or the target cannot be written.
    """
    source, target = Path(source), Path(target)
    if target.suffix not in (".safetensors", *TORCH_SUFFIXES):
        raise InputError(
            f"{target}: cannot write {target.suffix or 'a file without suffix'}; use .safetensors or .ckpt"
        )
    if target.exists() and source.exists() and target.samefile(source):
        raise InputError(f"{target} is the file to be read; give another name")
    file = read_checkpoint(source)
    tensors = _independent(file.tensors)
    with atomic_write(target, "wb") as output:
        if target.suffix == ".safetensors":
            notes = {"format": "pt"}
            if file.metadata is not None:
                notes[METADATA_KEY] = json.dumps(file.metadata)
            output.write(save(tensors, notes))
        else:
            content = {"state_dict": tensors}
            if file.metadata is not None:
                content[METADATA_KEY] = file.metadata
            with explained(f"cannot write {target}", RuntimeError):  # how torch reports a full disk
                torch.save(content, output)


def _independent(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Every tensor with memory of its own, which .safetensors asks for. Only those that share theirs are copied."""
    independent, taken = {}, set()
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage()
        if storage.data_ptr() in taken or storage.nbytes() != tensor.nbytes or not tensor.is_contiguous():
            tensor = tensor.clone(memory_format=torch.contiguous_format)
        taken.add(storage.data_ptr())
        independent[name] = tensor
    return independent


def describe(file: CheckpointFile) -> str:
    """Describes a file, the sizes of its network, and, in a table: part, tensors, parameters, where they go."""
    names = {name: published_name(name) for name in file.tensors}
    kind = kind_of(names.values())
    weights, unused = published_weights(file)
    layout = f"under {file.layout!r}" if file.layout else "at the top"
    lines = [
        f"{file.path}: {KINDS[kind]}",
        f"  format    {file.format}, {file.path.stat().st_size:,} bytes, weights {layout}",
        f"  use       {USES[kind]}",
    ]
    if kind not in ("swin", "other"):
        sizes = ", ".join(f"{key} {value}" for key, value in infer_sizes(file).as_dict().items())
        lines.append(f"  sizes     {sizes}")
    if file.metadata:
        config = file.metadata.get("config") or {}
        task = ", ".join(f"{key} {config[key]}" for key in ("exp_name", "datasets", "objective") if key in config)
        versions = ", ".join(f"{key} {value}" for key, value in (file.metadata.get("versions") or {}).items())
        vocabulary = file.metadata.get("vocabulary")
        lines += [f"  made by   {task or 'this repository'}; {versions or 'versions unknown'}"]
        if vocabulary is not None:
            lines.append(f"  answers   {len(vocabulary):,}")
    rows = [(part_of(name), "DeST", tensor) for name, tensor in weights.items()]
    rows += [
        (name.split(".")[0], "not used (integers)", file.tensors[own])
        for own, name in names.items()
        if not file.tensors[own].is_floating_point()
    ]
    for name, tensor in unused.items():
        goes = "Video Swin" if kind == "swin" and name.startswith("backbone.") else "not used"
        rows.append((name.split(".")[0], goes, tensor))
    table = pd.DataFrame(
        [(part, goes, tensor.numel()) for part, goes, tensor in rows], columns=["part", "goes", "size"]
    )
    sums = table.groupby(["part", "goes"], sort=False)["size"].agg(["size", "sum"])
    lines.append(f"  {'part':24} {'tensors':>8} {'parameters':>14}  goes to")
    lines += [f"  {part:24} {tensors:8,} {numbers:14,}  {goes}" for (part, goes), tensors, numbers in sums.itertuples()]
    lines.append(f"  {'all':24} {len(table):8,} {table['size'].sum():14,}")
    return "\n".join(lines)


@run_cli
def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a checkpoint of any kind")
    parser.add_argument("target", type=Path, nargs="?", help="file to write: .safetensors, or .ckpt / .pth / .pt")
    parser.add_argument("--info", action="store_true", help="print what the source is and where its weights go")
    options = parser.parse_args(arguments)
    if options.target is None and not options.info:
        raise InputError("give the file to write, or --info to look at the source")
    if options.info:
        print(describe(read_checkpoint(options.source)))
    if options.target is not None:
        convert(options.source, options.target)
        print(f"wrote {options.target} ({options.target.stat().st_size:,} bytes)")


if __name__ == "__main__":
    raise SystemExit(main())
