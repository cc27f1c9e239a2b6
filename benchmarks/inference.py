"""Inference against the naive way: `python -m benchmarks.inference [--shape anetqa|agqa] [--precision 32|bf16|…]`.

Published size, random weights, one run. The naive way costs the same for every question and is timed on a few.
"""

import argparse
from dataclasses import dataclass

import torch
from lightning_fabric.utilities import move_data_to_device
from rich.console import Console
from rich.table import Table

import modules  # noqa: F401  (before anything that imports torchvision)
from datasets.errors import run_cli
from modules.objectives.open_ended_qa import OpenEndedQA

from . import naive
from .measure import (
    PRECISIONS,
    machine,
    matmul_rate,
    peak_memory,
    precision_of_run,
    precisions_of,
    reset_peak_memory,
    seconds_and_flops,
)
from .workload import SHAPES, SMALL, ModelSizes, Shape, make_batch, make_task

VIDEOS = {"anetqa": 6, "agqa": 1}  # enough for what is done once per run, the answers, to weigh as little as it does


def naive_features(model, batch: dict, rows: list[int], image_tokens: torch.Tensor | None = None) -> torch.Tensor:
    """Features of the questions `rows`; with `image_tokens` [V, F, T, D] the image encoder is left out."""
    questions = batch["questions"]
    videos = [questions.video(row) for row in rows]
    tokens = naive.encode_frames(model, batch["frames"][videos]) if image_tokens is None else image_tokens[videos]
    return naive.question_features(
        model,
        tokens,
        batch["clips"][videos],
        batch["clip_mask"][videos],
        questions.ids[rows],
        questions.mask[rows],
    )


@dataclass
class Work:
    """A model, and videos with their questions.

    Attributes:
        task: on the device, in evaluation.
        batches: one video each.
    """

    task: OpenEndedQA
    shape: Shape
    batches: list[dict]
    device: torch.device

    @property
    def num_questions(self) -> int:
        return len(self.batches) * self.shape.questions_in_video


def make_work(sizes: ModelSizes, shape: Shape, device: torch.device, num_videos: int, questions_at_once: int) -> Work:
    task = make_task(sizes, shape, drop_rate=0.0, questions_at_once=questions_at_once).to(device).eval()
    batches = [
        move_data_to_device(make_batch(task.model, shape, [shape.questions_in_video], seed), device)
        for seed in range(num_videos)
    ]
    return Work(task, shape, batches, device)


@torch.no_grad()
def run_naive(work: Work, num_timed: int, num_checked: int | None) -> dict:
    """The naive way, in float32.

    Args:
        num_timed: questions that its rate is measured on.
        num_checked: questions per video that are answered; None: all.

    Returns:
        ``rate`` questions per second, ``gflop`` per question, ``answers`` int64 [videos, questions checked].
    """
    task, device = work.task, work.device
    precision_of_run("32", device)
    rows = list(range(min(num_timed, work.shape.questions_in_video)))
    time, flops = seconds_and_flops(lambda: naive_features(task.model, work.batches[0], rows), device)
    time, flops = time / len(rows), flops / len(rows)
    answers: list[torch.Tensor] = []

    def encode_answers() -> None:
        answers.append(naive.encode_answers(task.model, task.answer_ids, task.answer_mask))

    once, flops_once = seconds_and_flops(encode_answers, device)
    time, flops = time + once / work.shape.naive_batch, flops + flops_once / work.shape.naive_batch
    # The answers. A video's image tokens are computed once here: this part is not timed.
    best = []
    for batch in work.batches:
        tokens = naive.encode_frames(task.model, batch["frames"])
        rows = range(work.shape.questions_in_video)[:num_checked]
        features = [naive_features(task.model, batch, [row], tokens) for row in rows]
        best.append((torch.cat(features) @ answers[0].T).argmax(1))
    return {"rate": 1 / time, "gflop": flops / 1e9, "answers": torch.stack(best)}


@torch.no_grad()
def run_ours(work: Work, precision: str) -> dict:
    """Measures this code.

    Returns:
        ``rate`` questions per second, ``gflop`` per question, ``flops`` per second, its ``share`` of the measured
        matmul rate, ``memory`` GB at the peak, ``answers`` int64 [videos, questions].
    """
    task, device, dtype = work.task, work.device, PRECISIONS[precision]
    run = precision_of_run(precision, device)
    logits: list[torch.Tensor] = []

    def ours() -> None:
        with run.forward_context():
            task.on_predict_start()
            logits.append(torch.cat([task.score(batch) for batch in work.batches]))

    rate = matmul_rate(device, dtype)
    reset_peak_memory(device)
    time, flops = seconds_and_flops(ours, device)
    memory = peak_memory(device)
    rate = max(rate, matmul_rate(device, dtype))
    return {
        "rate": work.num_questions / time,
        "gflop": flops / work.num_questions / 1e9,
        "flops": flops / time,
        "share": flops / time / rate,
        "memory": memory,
        "answers": logits[0].argmax(1).view(len(work.batches), -1),
    }


def _same(ours: torch.Tensor, naive_way: torch.Tensor) -> float:
    return (ours[:, : naive_way.shape[1]] == naive_way).float().mean().item()


def print_table(results: dict[str, tuple[dict, dict[str, dict]]], note: str) -> None:
    """`results`: shape -> the naive way's, and ours by precision."""
    table = Table(title="Inference: questions per second", caption=note, caption_justify="left")
    for name in (
        "data",
        "precision",
        "naive (32)",
        "ours",
        "ratio",
        "GFLOP per question",
        "GFLOP/s",
        "of matmul",
        "GB",
        "same answers",
    ):
        table.add_column(name, justify="left" if name in ("data", "precision") else "right")
    for shape, (plain, by_precision) in results.items():
        for precision, found in by_precision.items():
            table.add_row(
                shape,
                precision,
                f"{plain['rate']:.3g}",
                f"{found['rate']:.3g}",
                f"{found['rate'] / plain['rate']:.1f}×",
                f"{plain['gflop']:.0f} → {found['gflop']:.1f}",
                f"{found['flops'] / 1e9:.0f}",
                f"{found['share']:.0%}",
                f"{found['memory']:.1f}",
                f"{_same(found['answers'], plain['answers']):.1%} of {plain['answers'].numel()}",
            )
    Console(width=None if Console().is_terminal else 140).print(table)


@run_cli
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", choices=SHAPES, action="append", help="dataset's shape (default: each)")
    parser.add_argument("--precision", choices=PRECISIONS, action="append", help="of ours (default: all of the device)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--videos", type=int, help="(default: 6 of anetqa's shape, 1 of agqa's)")
    parser.add_argument("--questions-at-once", type=int, default=16, help="per_gpu_batchsize")
    parser.add_argument("--naive-questions", type=int, default=2, help="questions on which the naive way is timed")
    parser.add_argument("--check", type=int, help="questions per video whose answers are compared (default: all)")
    parser.add_argument("--small", action="store_true", help="a small model: to see that the command works")
    args = parser.parse_args()
    device = torch.device(args.device)
    precisions = args.precision or precisions_of(device)
    for precision in precisions:
        precision_of_run(precision, device)
    sizes = SMALL if args.small else ModelSizes()
    results = {}
    for name in args.shape or SHAPES:
        work = make_work(sizes, SHAPES[name], device, args.videos or VIDEOS[name], args.questions_at_once)
        by_precision = {precision: run_ours(work, precision) for precision in precisions}
        results[name] = run_naive(work, args.naive_questions, args.check), by_precision
    print_table(results, machine())


if __name__ == "__main__":
    raise SystemExit(main())
