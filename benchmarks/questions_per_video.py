"""Cost and gain of `questions_per_video`, on the toy world that scripts/demo.sh leaves.

    python -m benchmarks.questions_per_video [--toy toy] [--k 1 4 12] [--seeds 0 1 2]

Fine-tunes the demo's model for each k, with the demo's budget, and prints time and accuracy on the test split; of
several seeds also the mean with its 95 % interval (Student's t).
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from scipy import stats

from datasets.errors import InputError, run_cli

from .measure import machine

ORDER = ("Motion", "Temporal Relation")  # the types of questions that only the order of events answers


def fine_tune(toy: Path, folder: Path, k: int, seed: int, epochs: int) -> tuple[float, dict]:
    """Seconds of training, and what eval.py says of the predictions."""
    common = ["task_finetune_anetqa", "toy", f"data_root={toy / 'data/anetqa'}", f"tokenizer={toy / 'raw/tokenizer'}"]
    common += [f"log_dir={folder}"]
    began = time.perf_counter()
    run_py = [sys.executable, "run.py", "with", *common]
    own = [f"exp_name=k{k}", f"seed={seed}", f"questions_per_video={k}", f"max_epoch={epochs}"]
    subprocess.run([*run_py, *own, f"load_path={toy / 'checkpoints/trm.ckpt'}"], check=True, stdout=subprocess.DEVNULL)
    took = time.perf_counter() - began
    checkpoint = folder / f"k{k}_seed{seed}" / "version_0" / "checkpoints" / "best.ckpt"
    named = checkpoint.rename(folder / f"k{k}_seed{seed}.ckpt")
    subprocess.run([*run_py, "test_only=True", f"load_path={named}"], check=True, stdout=subprocess.DEVNULL)
    predictions, scores = folder / f"anetqa_by_k{k}_seed{seed}.json", folder / "scores.json"
    evaluation = [sys.executable, "eval.py", "anet", predictions, toy / "data/anetqa/test.csv", "--json", scores]
    subprocess.run(evaluation, check=True, stdout=subprocess.DEVNULL)
    return took, json.loads(scores.read_text())


def accuracies(scores: dict) -> tuple[float, float, float]:
    """Percent right: of the questions that one frame answers, of those of order, of all."""
    found = scores["predictions"][0]["scores"]
    order = [found["type"][name] for name in ORDER]
    asked, right = (sum(own[name] for own in order) for name in ("questions", "correct"))
    whole = found["overall"]["all"]
    one_frame = (whole["correct"] - right) / (whole["questions"] - asked)
    return 100 * one_frame, 100 * right / asked, whole["accuracy"]


def mean_with_interval(values: Sequence[float]) -> str:
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):.1f} ± {half:.1f}"


@run_cli
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--toy", type=Path, default=Path("toy"), help="folder of the demo (default: toy)")
    parser.add_argument("--k", type=int, nargs="+", default=[1, 4, 12], help="values to compare")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=8, help="of fine-tuning (default: the demo's)")
    options = parser.parse_args()
    if not (options.toy / "checkpoints" / "trm.ckpt").is_file():
        raise InputError(f"{options.toy} has no checkpoints/trm.ckpt; run scripts/demo.sh first, or name its --toy")

    table = Table(title=f"Fine-tuning, {options.epochs} epochs", caption=machine(), caption_justify="left")
    for name in ("k", "seed", "seconds", "one frame", "order", "overall"):
        table.add_column(name, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        for k in options.k:
            found = []
            for seed in options.seeds:
                took, scores = fine_tune(options.toy, Path(folder), k, seed, options.epochs)
                found.append((took, *accuracies(scores)))
                table.add_row(str(k), str(seed), f"{took:.0f}", *(f"{share:.1f}" for share in found[-1][1:]))
            if len(found) > 1:
                table.add_row(str(k), "mean", *map(mean_with_interval, zip(*found, strict=True)))
    Console(width=None if Console().is_terminal else 100).print(table)


if __name__ == "__main__":
    raise SystemExit(main())
