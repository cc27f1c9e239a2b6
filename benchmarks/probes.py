"""Costs of ten probes in one pass beside one plain prediction and ten runs, at the published size and shapes.

python -m benchmarks.probes [--shape anetqa] [--videos 2] [--small]
"""

import argparse
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from datamodules.batch import QACollate
from datamodules.probes import ProbeCollate, chosen_probes
from datasets.errors import run_cli
from datasets.qa import VideoSample
from modules.models.settings import ModelSizes

from .measure import machine, seconds_and_flops
from .workload import SHAPES, SMALL, Shape, make_batch, make_task, texts


class RandomWords:
    """Tokenizer that gives random tokens for any text."""

    def __init__(self, shape: Shape, vocab_size: int):
        self.shape, self.vocab_size = shape, vocab_size

    def encode(self, questions: list[str], max_length: int | None = None) -> Any:
        return texts(len(questions), self.shape.question_tokens, self.vocab_size, torch.Generator().manual_seed(0))


def measure(sizes: ModelSizes, shape: Shape, num_videos: int) -> dict[str, tuple[float, int]]:
    """Seconds and floating-point operations, by what is predicted; "10 runs" are the probes one by one."""
    task = make_task(sizes, shape, drop_rate=0.0, questions_at_once=16).eval()
    count = shape.questions_in_video
    batch = make_batch(task.model, shape, [count] * num_videos)
    samples = []
    for video in range(num_videos):
        own = [str(number) for number in range(count)]
        evidence = batch["frames"][video].numpy(), batch["clips"][video].numpy()
        samples.append(VideoSample(*evidence, list(range(count)), own, own, own, [0] * count, str(video)))
    for sample, other in zip(samples, samples[1:] + samples[:1], strict=True):
        sample.other = other
    task.on_predict_start()
    words: Any = RandomWords(shape, sizes.vocab_size)
    found, every = {}, chosen_probes(["all"], temporal=True)
    with torch.no_grad():
        for name, runs in {
            "as it is": [["none"]],
            "9 probes": [[probe for probe in every if probe != "swap_video"]],
            "10 probes": [every],
            "10 runs": [[probe] for probe in every],
        }.items():
            batches = [ProbeCollate(QACollate(words), probes, seed=0)(samples) for probes in runs]
            found[name] = seconds_and_flops(
                lambda batches=batches: [task.predict_step(batch, 0) for batch in batches], torch.device("cpu")
            )
    return found


@run_cli
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", choices=SHAPES, action="append", help="dataset's shape (default: each)")
    parser.add_argument("--videos", type=int, default=2)
    parser.add_argument("--small", action="store_true", help="a small model: to see that the command works")
    args = parser.parse_args()
    table = Table(title="Probes beside one plain prediction", caption=machine(), caption_justify="left")
    for name in ("data", "predicted (9: without swap_video)", "seconds", "ratio", "GFLOP", "ratio"):
        table.add_column(name, justify="right")
    for shape in args.shape or SHAPES:
        found = measure(SMALL if args.small else ModelSizes(), SHAPES[shape], args.videos)
        base = found["as it is"]
        for name, (took, flops) in found.items():
            cells = f"{took:.2f}", f"{took / base[0]:.2f}", f"{flops / 1e9:,.0f}", f"{flops / base[1]:.2f}"
            table.add_row(shape, name, *cells)
    Console().print(table)


if __name__ == "__main__":
    raise SystemExit(main())
