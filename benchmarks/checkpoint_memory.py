"""Peak memory of loading a checkpoint of the published size, in each format.

    python -m benchmarks.checkpoint_memory [--folder /tmp]

Writes one checkpoint of random weights a format (1.5 GB each, one at a time, removed afterwards), loads it with
`modules.load_model` in a process of its own and prints that process's peak resident memory, without what it had after
its imports, beside the model's and the file's size. Pages of a memory-mapped file that were read count as resident.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import modules  # noqa: F401  (before anything that imports torchvision)
from datasets.errors import run_cli

FORMATS = ("zip", "legacy", "safetensors")


def write_checkpoint(path: Path, kind: str) -> None:
    import torch
    from safetensors.torch import save_file

    from modules.models.dest import DeST
    from modules.models.settings import ModelSizes

    weights = DeST(ModelSizes()).state_dict()
    if kind == "safetensors":
        save_file(weights, path)
    else:
        torch.save({"state_dict": weights}, path, _use_new_zipfile_serialization=kind == "zip")


def measure(path: str) -> None:
    """Run in a process of its own: loads the file, and prints the figures as JSON."""
    from modules import load_model
    from modules.models.dest import DeST
    from modules.models.settings import ModelSizes

    DeST(
        ModelSizes(vit_depth=1, num_layers=1, num_text_layers=1, answer_layers=1, vocab_size=9)
    )  # what imports are late
    before = resident()
    start = time.perf_counter()
    model = load_model(path, task="anetqa")
    seconds = time.perf_counter() - start
    size = sum(parameter.nbytes for parameter in model.parameters())
    figures = {"model": size, "file": Path(path).stat().st_size, "peak": peak() - before, "seconds": seconds}
    print(json.dumps(figures))


def resident() -> int:
    """Bytes of this process that are in memory now."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def peak() -> int:
    """The most bytes of this process that ever were in memory."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@run_cli
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where to write the checkpoints (default: the system's)")
    parser.add_argument("--measure", metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    print(f"{'format':12} {'model MB':>9} {'file MB':>9} {'peak MB':>9} {'model + file':>13} {'seconds':>8}")
    for kind in FORMATS:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            path = Path(folder) / "x.ckpt"
            write_checkpoint(path, kind)
            command = [sys.executable, "-m", "benchmarks.checkpoint_memory", "--measure", str(path)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        figures = json.loads(output.splitlines()[-1])
        model, file, most = (figures[name] / 1e6 for name in ("model", "file", "peak"))
        within = "within" if most <= model + file else "ABOVE"
        print(f"{kind:12} {model:9.0f} {file:9.0f} {most:9.0f} {within:>13} {figures['seconds']:8.1f}")


if __name__ == "__main__":
    raise SystemExit(main())
