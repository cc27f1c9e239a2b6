"""Inference against the naive way: `python -m benchmarks.inference [--shape anetqa|agqa] [--precision 32|bf16]`.

Published size, random weights, one run. The naive way costs the same for every question and is timed on a few.
"""

import argparse

import torch
from rich.console import Console
from rich.table import Table

import modules  # noqa: F401  (before anything that imports torchvision)

from . import naive
from .measure import PRECISIONS, count_flops, machine, matmul_rate, peak_memory, reset_peak_memory, seconds
from .workload import SHAPES, SMALL, ModelSizes, Shape, make_batch, make_task, to_device


def naive_features(model, batch: dict, rows: list[int], image_tokens: torch.Tensor | None = None) -> torch.Tensor:
    """Features of the questions `rows`; with `image_tokens` [V, F, T, D] the image encoder is left out."""
    videos = batch["video_index"][rows]
    tokens = naive.encode_frames(model, batch["frames"][videos]) if image_tokens is None else image_tokens[videos]
    return naive.question_features(
        model,
        tokens,
        batch["clips"][videos],
        batch["clip_mask"][videos],
        batch["question_ids"][rows],
        batch["question_mask"][rows],
    )


@torch.inference_mode()
def run(
    sizes: ModelSizes,
    shape: Shape,
    precision: str,
    device: torch.device,
    num_videos: int,
    questions_at_once: int,
    naive_questions: int,
) -> dict[str, float]:
    """One comparison; the naive way runs in float32 whatever the precision of ours.

    Returns:
        questions a second of both, FLOP and share of the measured matmul rate, peak memory, share of equal answers.
    """
    task = make_task(sizes, shape, drop_rate=0.0, questions_at_once=questions_at_once).to(device).eval()
    batches = [
        to_device(make_batch(task.model, shape, [shape.questions_in_video], seed), device) for seed in range(num_videos)
    ]
    num_questions = num_videos * shape.questions_in_video
    dtype = PRECISIONS[precision]

    def ours() -> torch.Tensor:
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            task.on_predict_start()
            return torch.cat([task.score(batch) for batch in batches])

    # Both are warm before they are timed: memory pools, kernels, weights in the kernels' layout.
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        task.on_predict_start()
        task.score(to_device(make_batch(task.model, shape, [1]), device))
    rate = matmul_rate(device, dtype)
    reset_peak_memory(device)
    logits: list[torch.Tensor] = []
    own_time = seconds(lambda: logits.append(ours()), device)
    memory = peak_memory(device)
    rate = max(rate, matmul_rate(device, dtype))
    flops = count_flops(ours)

    rows = list(range(min(naive_questions, shape.questions_in_video)))
    naive_features(task.model, batches[0], rows[:1])
    naive_time = seconds(lambda: naive_features(task.model, batches[0], rows), device) / len(rows)
    answers: list[torch.Tensor] = []
    naive_answers = seconds(
        lambda: answers.append(naive.encode_answers(task.model, task.answer_ids, task.answer_mask)), device
    )
    naive_time += naive_answers / shape.naive_batch
    naive_flops = count_flops(lambda: naive_features(task.model, batches[0], [0]))
    naive_flops += (
        count_flops(lambda: naive.encode_answers(task.model, task.answer_ids, task.answer_mask)) / shape.naive_batch
    )

    # Every answer of ours against the naive arithmetic (its image tokens once a video here: this part is not timed).
    expected = []
    for batch in batches:
        tokens = naive.encode_frames(task.model, batch["frames"])
        for row in range(shape.questions_in_video):
            expected.append(naive_features(task.model, batch, [row], tokens) @ answers[0].T)
    same = (torch.cat(expected).argmax(1) == logits[0].argmax(1)).float().mean().item()
    return {
        "ours": num_questions / own_time,
        "naive": 1 / naive_time,
        "gflop": flops / num_questions / 1e9,
        "naive_gflop": naive_flops / 1e9,
        "rate": flops / own_time,
        "share": flops / own_time / rate,
        "matmul_rate": rate,
        "memory": memory,
        "same": same,
    }


def print_table(results: dict[tuple[str, str], dict[str, float]], note: str) -> None:
    table = Table(title="Inference: questions a second", caption=note, caption_justify="left")
    for name in (
        "data",
        "precision",
        "naive (32)",
        "ours",
        "ratio",
        "GFLOP a question",
        "GFLOP/s",
        "of matmul",
        "GB",
        "same answers",
    ):
        table.add_column(name, justify="left" if name in ("data", "precision") else "right")
    for (shape, precision), found in results.items():
        table.add_row(
            shape,
            precision,
            f"{found['naive']:.3g}",
            f"{found['ours']:.3g}",
            f"{found['ours'] / found['naive']:.1f}×",
            f"{found['naive_gflop']:.0f} → {found['gflop']:.1f}",
            f"{found['rate'] / 1e9:.0f}",
            f"{found['share']:.0%}",
            f"{found['memory']:.1f}",
            f"{found['same']:.1%}",
        )
    Console(width=None if Console().is_terminal else 140).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", choices=SHAPES, action="append", help="data set's shape (default: each)")
    parser.add_argument("--precision", choices=PRECISIONS, action="append", help="of our side (default: each)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--videos", type=int, default=1)
    parser.add_argument("--questions-at-once", type=int, default=32, help="per_gpu_batchsize")
    parser.add_argument("--naive-questions", type=int, default=2, help="questions on which the naive way is timed")
    parser.add_argument("--small", action="store_true", help="a small model: to see that the command works")
    args = parser.parse_args()
    device = torch.device(args.device)
    results = {}
    for name in args.shape or SHAPES:
        for precision in args.precision or PRECISIONS:
            results[name, precision] = run(
                SMALL if args.small else ModelSizes(),
                SHAPES[name],
                precision,
                device,
                args.videos,
                args.questions_at_once,
                args.naive_questions,
            )
    print_table(results, machine())


if __name__ == "__main__":
    main()
