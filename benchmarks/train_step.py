"""A training step against the naive way: `python -m benchmarks.train_step`.

Published size, random weights, one run: forward, backward and optimizer step on a batch of questions, dropout as in the
recipe. The naive way costs the same for every question but for the answers, and is timed on a few.
"""

import argparse

import torch
from lightning_fabric.utilities import move_data_to_device
from rich.console import Console
from rich.table import Table
from torch.nn import functional as F

import modules  # noqa: F401  (before anything that imports torchvision)
from datasets.errors import run_cli
from modules.objectives.open_ended_qa import OpenEndedQA
from modules.objectives.optimizer import build_optimizer

from . import naive
from .inference import naive_features
from .measure import (
    PRECISIONS,
    machine,
    matmul_rate,
    peak_memory,
    precision_of_run,
    reset_peak_memory,
    seconds,
    seconds_and_flops,
)
from .workload import SHAPES, SMALL, ModelSizes, Shape, make_batch, make_task


def naive_loss(task: OpenEndedQA, batch: dict, rows: list[int], image_tokens: torch.Tensor | None = None):
    features = naive_features(task.model, batch, rows, image_tokens)
    answers = naive.encode_answers(task.model, task.answer_ids, task.answer_mask)
    return F.cross_entropy(features @ answers.T, batch["labels"][rows])


def silent(task: OpenEndedQA) -> OpenEndedQA:
    """Outside a Trainer there is nothing to log to."""
    task.log = lambda *args, **kwargs: None
    return task


def gradient_difference(sizes: ModelSizes, shape: Shape, device: torch.device) -> tuple[float, float]:
    """Relative differences of loss and gradients from the naive way's: two videos, two questions each, no dropout."""
    task = silent(make_task(sizes, shape, drop_rate=0.0, questions_at_once=4)).to(device).train()
    batch = move_data_to_device(make_batch(task.model, shape, [2, 2]), device)
    tokens = naive.encode_frames(task.model, batch["frames"])  # frozen: the same for both
    trainable = [parameter for parameter in task.parameters() if parameter.requires_grad]
    losses, gradients = [], []
    for loss in (task.training_step(batch, 0), naive_loss(task, batch, [0, 1, 2, 3], tokens)):
        losses.append(loss.item())
        gradients.append(torch.autograd.grad(loss, trainable))
    difference = sum((a - b).square().sum() for a, b in zip(*gradients, strict=True)).sqrt()
    norm = sum(b.square().sum() for b in gradients[1]).sqrt()
    return abs(losses[0] - losses[1]) / losses[1], (difference / norm).item()


def make_step(task: OpenEndedQA, precision: str, device: torch.device):
    """Runs backward and the optimizer's step on the loss that a function returns, in a run's precision."""
    optimizer, _ = build_optimizer(task.model, task.optimizer_settings, total_steps=1000)

    run = precision_of_run(precision, device)
    scaler = getattr(run, "scaler", None) or torch.amp.GradScaler(enabled=False)

    def step(loss_of) -> None:
        with run.forward_context():
            loss = loss_of()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()

    return step


def run_naive(sizes: ModelSizes, shape: Shape, device: torch.device, num_questions: int, num_timed: int) -> float:
    """Questions per second of the naive way in float32, with a batch of `num_questions`."""
    task = silent(make_task(sizes, shape, 0.1, num_questions)).to(device).train()
    step = make_step(task, "32", device)
    batch = move_data_to_device(make_batch(task.model, shape, [num_timed]), device)
    rows = list(range(num_timed))

    def features() -> None:
        naive_features(task.model, batch, rows).sum().backward()

    def answers() -> torch.Tensor:
        return naive.encode_answers(task.model, task.answer_ids, task.answer_mask).sum()

    # The answers and the optimizer's step are paid once per batch: on `num_timed` questions they would weigh too much.
    of_questions, of_the_batch = seconds(features, device), seconds(lambda: step(answers), device)
    return 1 / (of_questions / num_timed + of_the_batch / num_questions)


def run_ours(
    sizes: ModelSizes,
    shape: Shape,
    precision: str,
    frozen_precision: str,
    device: torch.device,
    num_questions: int,
    questions_per_video: int,
) -> dict[str, float]:
    """``rate`` questions per second, ``gflop`` per question, ``share`` of the matmul rate, ``memory`` in GB (peak)."""
    task = silent(make_task(sizes, shape, 0.1, num_questions, frozen_precision)).to(device).train()
    counts = [questions_per_video] * (num_questions // questions_per_video)
    batch = move_data_to_device(make_batch(task.model, shape, counts), device)
    step, dtype = make_step(task, precision, device), PRECISIONS[precision]

    def ours() -> None:
        step(lambda: task.training_step(batch, 0))

    rate = matmul_rate(device, dtype)
    reset_peak_memory(device)
    time, flops = seconds_and_flops(ours, device)
    memory = peak_memory(device)
    share = flops / time / max(rate, matmul_rate(device, dtype))
    return {"rate": num_questions / time, "gflop": flops / num_questions / 1e9, "share": share, "memory": memory}


@run_cli
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--questions", type=int, default=16, help="per_gpu_batchsize")
    parser.add_argument("--questions-per-video", type=int, action="append", help="k (default: 8 and 1)")
    parser.add_argument("--precision", choices=PRECISIONS, default="32")
    parser.add_argument("--frozen-precision", choices=("same", "bf16"), action="append", help="(default: both)")
    parser.add_argument("--naive-questions", type=int, default=1, help="questions on which the naive way is timed")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--small", action="store_true", help="a small model: to see that the command works")
    args = parser.parse_args()
    device, shape = torch.device(args.device), SHAPES["anetqa"]
    precision_of_run(args.precision, device)
    precision_of_run("32", device)
    sizes = SMALL if args.small else ModelSizes()
    loss, gradients = gradient_difference(sizes, shape, device)
    table = Table(title=f"Training step of {args.questions} questions: questions per second", caption=machine())
    for name in (
        "k",
        "precision",
        "frozen part",
        "naive (32)",
        "ours",
        "ratio",
        "GFLOP per question",
        "of matmul",
        "GB",
    ):
        table.add_column(name, justify="right")
    naive_rate = run_naive(sizes, shape, device, args.questions, args.naive_questions)
    for k in args.questions_per_video or (8, 1):
        for frozen in args.frozen_precision or ("same", "bf16"):
            found = run_ours(sizes, shape, args.precision, frozen, device, args.questions, k)
            table.add_row(
                str(k),
                args.precision,
                frozen,
                f"{naive_rate:.3g}",
                f"{found['rate']:.3g}",
                f"{found['rate'] / naive_rate:.1f}×",
                f"{found['gflop']:.0f}",
                f"{found['share']:.0%}",
                f"{found['memory']:.1f}",
            )
    console = Console(width=None if Console().is_terminal else 120)
    console.print(table)
    console.print(f"against the naive way, without dropout: loss differs by {loss:.1e}, gradients by {gradients:.1e}")


if __name__ == "__main__":
    raise SystemExit(main())
