"""Speed of one revision against another: `python -m benchmarks.compare REV [REV2] [--part PART …]`.

Runs inference and training steps of both in turn, on the same work, and prints the ratio of their times with its
spread: above 1, REV2 is faster. Without REV2 it is the working tree. The revisions are unpacked in a temporary folder,
with this tree's benchmarks in them.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import modules  # noqa: F401  (before anything that imports torchvision)
from datasets.errors import InputError, run_cli

from .inference import make_work
from .measure import machine, precision_of_run, precisions_of
from .train_step import TrainingSteps
from .workload import SHAPES, SMALL, ModelSizes, make_batch, make_task

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")


def inference(shape_name: str) -> Callable[[ModelSizes, str], Callable[[], None]]:
    """A video with its questions; the answers are encoded anew, as for every run."""

    def make(sizes: ModelSizes, precision: str) -> Callable[[], None]:
        work = make_work(sizes, SHAPES[shape_name], CPU, num_videos=1, questions_at_once=32)
        run = precision_of_run(precision, CPU)

        @torch.no_grad()
        def once() -> None:
            with run.forward_context():
                work.task.on_predict_start()
                work.task.score(work.batches[0])

        return once

    return make


def training(questions_per_video: int) -> Callable[[ModelSizes, str], Callable[[], None]]:
    """An optimizer step of two batches of 8 questions."""

    def make(sizes: ModelSizes, precision: str) -> Callable[[], None]:
        shape = SHAPES["anetqa"]
        task = make_task(sizes, shape, drop_rate=0.1, questions_at_once=8)
        batch = make_batch(task.model, shape, [questions_per_video] * (8 // questions_per_video))
        steps = TrainingSteps(task, precision, CPU, accumulated=2)

        def once() -> None:
            for number in range(2):
                steps.batch(batch, number)
            steps.step()

        return once

    return make


PARTS = {
    "inference-anetqa": inference("anetqa"),
    "inference-agqa": inference("agqa"),
    "training-k8": training(8),
    "training-k1": training(1),
}


def work(part: str, precision: str, small: bool) -> None:
    """Does the part once for each line that comes, in a revision's folder, and answers with its seconds."""
    once = PARTS[part](SMALL if small else ModelSizes(), precision)
    once()  # kernels are chosen, memory is pooled
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        once()
        print(time.perf_counter() - start, flush=True)


class Worker:
    """A process that does a part in a folder; a context manager."""

    def __init__(self, folder: Path, words: list[str]):
        command = [sys.executable, "-m", "benchmarks.compare", "--work", *words]
        self.process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "Worker":
        self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait()

    def _answer(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            raise InputError("a revision cannot do this part; its error stands above; leave the part out with --part")
        return line

    def seconds(self) -> float:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self._answer())


def check_out(revision: str, folder: Path) -> Path:
    """Puts a revision into a new folder, with the benchmarks of this tree."""
    done = subprocess.run(
        ["git", "archive", "--format=tar", "--output", f"{folder}.tar", revision],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InputError(f"git has no revision {revision!r} ({done.stderr.strip()}); git log --oneline lists them")
    shutil.unpack_archive(f"{folder}.tar", folder, filter="data")
    shutil.copytree(ROOT / "benchmarks", folder / "benchmarks", dirs_exist_ok=True)
    return folder


def compare(folders: tuple[Path, Path], words: list[str], rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of both in each round; who goes first changes from round to round."""
    times: tuple[list[float], list[float]] = [], []
    with Worker(folders[0], words) as one, Worker(folders[1], words) as other:
        for number in range(rounds):
            turns = [(one, times[0]), (other, times[1])]
            for worker, own in reversed(turns) if number % 2 else turns:
                own.append(worker.seconds())
    return times


@run_cli
def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revisions", nargs="*", metavar="REV", help="one or two, as git names them")
    parser.add_argument("--part", choices=PARTS, action="append", help="(default: all)")
    parser.add_argument("--precision", choices=precisions_of(CPU), action="append", help="(default: both)")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each (default: %(default)s)")
    parser.add_argument("--small", action="store_true", help="a small model: to see that the command works")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)  # part, precision, size: in a worker
    options = parser.parse_args(arguments)
    if options.work:
        work(options.work[0], options.work[1], options.work[2] == "small")
        return
    if len(options.revisions) not in (1, 2):
        raise InputError("name one or two revisions, such as HEAD~1; --help shows how")
    table = Table(caption=machine(), caption_justify="left")
    for name in ("part", "precision", *options.revisions, *["working tree"][: 2 - len(options.revisions)]):
        table.add_column(name, justify="right")
    table.add_column("ratio (median; smallest to largest)", justify="right")
    with tempfile.TemporaryDirectory() as temporary:
        folders = [check_out(name, Path(temporary) / str(number)) for number, name in enumerate(options.revisions)]
        pair = (folders[0], folders[1] if len(folders) == 2 else ROOT)
        for part in options.part or PARTS:
            for precision in options.precision or precisions_of(CPU):
                times = compare(pair, [part, precision, "small" if options.small else "published"], options.rounds)
                ratios = [one / other for one, other in zip(*times, strict=True)]
                spread = f"{statistics.median(ratios):.3f}  ({min(ratios):.3f} to {max(ratios):.3f})"
                table.add_row(part, precision, *(f"{statistics.median(own):.3g} s" for own in times), spread)
    Console(width=None if Console().is_terminal else 120).print(table)


if __name__ == "__main__":
    raise SystemExit(main())
