"""A training step against the naive way: `python -m benchmarks.train_step`.

Published size, random weights, one run: an optimizer step of 8 batches of 8 questions, dropout as in the recipe. Of the
batches between the first and the last, one is timed. The naive way is timed on a batch, whose answers and optimizer
step are timed alone.
"""

import argparse
from collections.abc import Callable

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
    count_flops,
    machine,
    matmul_rate,
    peak_memory,
    precision_of_run,
    precisions_of,
    reset_peak_memory,
    seconds,
)
from .workload import SHAPES, SMALL, ModelSizes, Shape, make_batch, make_task


class TrainingSteps:
    """Optimizer steps in a run's precision, each of the gradients of several batches.

    Args:
        task: on the device.
        precision: as in the settings.
        accumulated: batches of a step.
    """

    def __init__(self, task: OpenEndedQA, precision: str, device: torch.device, accumulated: int):
        self.task = task.train()
        task.log = lambda *args, **kwargs: None  # type: ignore[method-assign]  # outside a Trainer there is no log
        self.accumulated = accumulated
        self.run = precision_of_run(precision, device)
        self.scaler = getattr(self.run, "scaler", None) or torch.amp.GradScaler(enabled=False)
        self.optimizer, _ = build_optimizer(task.model, task.optimizer_settings, total_steps=1000)

    def backward(self, loss_of: Callable[[], torch.Tensor]) -> float:
        """Adds the gradients of a batch to those of the step; returns its loss."""
        with self.run.forward_context():
            loss = loss_of()
        self.scaler.scale(loss / self.accumulated).backward()
        return loss.item()

    def step(self) -> None:
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()

    def batch(self, batch: dict, number: int) -> float:
        """A batch of a step, backwards as well; returns its loss."""
        self.task.begins_step, self.task.ends_step = number == 0, number == self.accumulated - 1
        return self.backward(lambda: self.task.training_step(batch, number))


def naive_loss(task: OpenEndedQA, batch: dict, image_tokens: torch.Tensor) -> torch.Tensor:
    features = naive_features(task.model, batch, list(range(len(batch["labels"]))), image_tokens)
    answers = naive.encode_answers(task.model, task.answer_ids, task.answer_mask)
    return F.cross_entropy(features @ answers.T, batch["labels"])


def gradient_difference(sizes: ModelSizes, shape: Shape, device: torch.device) -> tuple[float, float]:
    """Relative differences of loss and gradients from the naive way's: a step of two batches, without dropout."""
    task = make_task(sizes, shape, drop_rate=0.0, questions_at_once=4).to(device)
    steps = TrainingSteps(task, "32", device, accumulated=2)
    batches = [move_data_to_device(make_batch(task.model, shape, [2], seed), device) for seed in range(2)]
    tokens = [naive.encode_frames(task.model, batch["frames"]) for batch in batches]  # frozen: the same for both

    def run(backward: Callable[[int], float]) -> tuple[float, torch.Tensor]:
        loss = sum(backward(number) for number in range(2)) / 2
        gradient = torch.cat([own.grad.ravel() for own in task.parameters() if own.grad is not None])
        steps.optimizer.zero_grad()
        return loss, gradient

    loss, gradient = run(lambda number: steps.batch(batches[number], number))
    expected = run(lambda number: steps.backward(lambda: naive_loss(task, batches[number], tokens[number])))
    return abs(loss - expected[0]) / expected[0], ((gradient - expected[1]).norm() / expected[1].norm()).item()


def run_naive(
    sizes: ModelSizes, shape: Shape, device: torch.device, num_questions: int, accumulated: int, num_timed: int
) -> float:
    """Questions per second of the naive way in float32, with batches of `num_questions`."""
    task = make_task(sizes, shape, 0.1, num_questions).to(device)
    steps = TrainingSteps(task, "32", device, accumulated)
    batch = move_data_to_device(make_batch(task.model, shape, [num_timed]), device)
    rows = list(range(num_timed))
    # Answers are paid once per batch, the optimizer once per step: on `num_timed` questions they would weigh too much.
    of_questions, of_a_batch, of_a_step = (
        seconds(function, device)
        for function in (
            lambda: steps.backward(lambda: naive_features(task.model, batch, rows).sum()),
            lambda: steps.backward(lambda: naive.encode_answers(task.model, task.answer_ids, task.answer_mask).sum()),
            steps.step,
        )
    )
    return 1 / (of_questions / num_timed + (of_a_batch + of_a_step / accumulated) / num_questions)


def run_ours(steps: TrainingSteps, batch: dict, dtype: torch.dtype, device: torch.device) -> dict[str, float]:
    """``rate`` questions per second, ``gflop`` per question, ``share`` of the matmul rate, ``memory`` in GB (peak)."""
    last = steps.accumulated - 1
    timed = sorted({0, min(1, last), last})
    weights = [last - 1 if 0 < number < last else 1 for number in timed]

    def of_a_step(measure: Callable[[Callable[[], None]], float]) -> float:
        own = [measure(lambda number=number: steps.batch(batch, number)) for number in timed]
        return sum(weight * cost for weight, cost in zip(weights, own, strict=True)) + measure(steps.step)

    rate = matmul_rate(device, dtype)
    reset_peak_memory(device)
    flops = of_a_step(count_flops)  # first, so that the timed calls find kernels chosen and memory pooled
    time = of_a_step(lambda function: seconds(function, device))
    memory = peak_memory(device)
    share = flops / time / max(rate, matmul_rate(device, dtype))
    questions = steps.accumulated * len(batch["labels"])
    return {"rate": questions / time, "gflop": flops / questions / 1e9, "share": share, "memory": memory}


@run_cli
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--questions", type=int, default=8, help="per_gpu_batchsize")
    parser.add_argument("--accumulated", type=int, default=8, help="batches of an optimizer step")
    parser.add_argument("--questions-per-video", type=int, nargs="+", default=[8, 1], help="k (default: 8 and 1)")
    parser.add_argument("--precision", choices=PRECISIONS, action="append", help="of ours (default: all of the device)")
    parser.add_argument("--frozen-precision", choices=("same", "bf16"), default="same", help="of the image encoder")
    parser.add_argument("--naive-questions", type=int, help="on which the naive way is timed (default: a batch)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--small", action="store_true", help="a small model: to see that the command works")
    args = parser.parse_args()
    device, shape = torch.device(args.device), SHAPES["anetqa"]
    precisions = args.precision or precisions_of(device)
    for precision in [*precisions, "32"]:
        precision_of_run(precision, device)
    sizes = SMALL if args.small else ModelSizes()
    loss, gradients = gradient_difference(sizes, shape, device)
    table = Table(
        title=f"Optimizer step of {args.accumulated} × {args.questions} questions: questions per second",
        caption=machine(),
    )
    for name in ("k", "precision", "naive (32)", "ours", "ratio", "GFLOP per question", "of matmul", "GB"):
        table.add_column(name, justify="right")
    timed = args.naive_questions or args.questions
    naive_rate = run_naive(sizes, shape, device, args.questions, args.accumulated, timed)
    for precision in precisions:
        for k in args.questions_per_video:
            task = make_task(sizes, shape, 0.1, args.questions, args.frozen_precision).to(device)
            batch = move_data_to_device(make_batch(task.model, shape, [k] * (args.questions // k)), device)
            steps = TrainingSteps(task, precision, device, args.accumulated)
            found = run_ours(steps, batch, PRECISIONS[precision], device)
            table.add_row(
                str(k),
                precision,
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
