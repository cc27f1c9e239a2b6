"""AGQA at its real size: time and memory of preprocessing, the question table and evaluation.

    python -m benchmarks.agqa_scale                          # 1.6 M + 669 K questions, about 4 GB of disk
    python -m benchmarks.agqa_scale --train 16000 --test 6690

The annotations are made up, in AGQA 2.0's format and with records of its size. Every figure is measured in a process of
its own; `json.load` of the same files is what they are compared with.
"""

import argparse
import json
import multiprocessing
import pickle
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from datasets.errors import run_cli
from datasets.sources.agqa import ANSWER_TYPES, GLOBAL, SEMANTIC, SOURCE, STRUCTURAL
from modules.evaluation.scores import evaluate
from preproc.preproc_agqa import preprocess

MEBIBYTE = 2**20
ROWS_READ_BY_A_WORKER = 20_000

_OBJECTS = ("phone", "blanket", "book", "bag", "chair", "clothes", "cup", "dish", "door", "doorway", "floor", "food")
_ACTS = ("holding", "tidying", "opening", "closing", "washing", "throwing", "taking", "watching", "leaving", "fixing")
_ANSWERS = (*_OBJECTS, *_ACTS, *(f"{act} a {thing}" for act in _ACTS for thing in _OBJECTS))[:171]


@dataclass(frozen=True)
class Usage:
    """The result of a call, its seconds, and megabytes: the peak of its process, and what it kept in the end."""

    result: Any
    seconds: float
    peak: float
    growth: float


@dataclass(frozen=True)
class Figure:
    """A line of the report: ours against a reference, and the factor it must keep to."""

    name: str
    ours: float
    reference: float
    unit: str
    at_most: float | None

    @property
    def ratio(self) -> float:
        return self.ours / self.reference


def write_questions(path: Path, count: int, videos: int, seed: int) -> None:
    """Writes `count` questions on `videos` videos in AGQA 2.0's format, about a kilobyte each."""
    draw = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for index in range(count):
            video = f"{seed:01d}{index % videos:04X}"
            file.write(", " if index else "{")
            file.write(f'"{video}-{index}": {json.dumps(_record(draw, video))}')
        file.write("}")


def _record(draw: random.Random, video: str) -> dict[str, Any]:
    first, second = draw.choices(_OBJECTS, k=2)
    act, other = draw.choices(_ACTS, k=2)
    start, end = sorted(draw.choices(range(900), k=2))
    return {
        "question": f"Between {other} a {first} and {act} the last thing they went behind, did they touch a {second}?",
        "answer": _ANSWERS[min(int(draw.expovariate(0.05)), len(_ANSWERS) - 1)],
        "video_id": video,
        "global": draw.sample(GLOBAL, draw.choice((1, 1, 2))),
        "local": "v-o-rel",
        "ans_type": draw.choice(ANSWER_TYPES),
        "steps": draw.randint(1, 9),
        "semantic": draw.choice(SEMANTIC),
        "structural": draw.choice(STRUCTURAL),
        "novel_comp": draw.randint(0, 1),
        "more_steps": draw.randint(0, 1),
        **{name: draw.randint(0, 1) for name in ("nc_seq", "nc_sup", "nc_dur", "nc_objrel", "i_obj", "i_rel", "i_act")},
        "i_temp": 0,
        "direct_equiv": f"{video}-{start}",
        "program": f"Exists({second}, Iterate(Localize(between, [Localize({other}, {first}), Localize({act}, "
        "Query(class, OnlyItem(IterateUntil(backward, video, Exists(behind, relations), objects))))]), "
        "Filter(frame, [relations, touch, objects])))",
        "sg_grounding": {
            f"{start}-{end}": [f"o{start % 37}/{frame:06d}" for frame in range(start, start + 12)],
            f"{act}-{end}": [f"r{end % 25}/{frame:06d}" for frame in range(end, end + 12)],
        },
    }


def measure(function: Callable, *arguments) -> Usage:
    """Calls a function of this module in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, function, *arguments).result()


def _measured(function: Callable, *arguments) -> Usage:
    before, start = psutil.Process().memory_info().rss, time.perf_counter()
    result, keep_alive = function(*arguments)
    seconds = time.perf_counter() - start
    growth = psutil.Process().memory_info().rss - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    del keep_alive
    return Usage(result, seconds, peak / MEBIBYTE, growth / MEBIBYTE)


def load_json_files(*paths: Path):
    """One after the other; the last one stays in memory."""
    for path in paths:
        records = None  # not two of them at a time
        with path.open(encoding="utf-8") as file:
            records = json.load(file)
    return len(records), records


def load_json_list(path: Path):
    with path.open(encoding="utf-8") as file:
        records = [{"qid": qid, **record} for qid, record in json.load(file).items()]
    return len(records), records


def run_preprocess(raw: Path, data: Path):
    return preprocess(raw, data), None


def open_table(path: Path):
    table = SOURCE.read_questions(path)
    return len(table), table


def open_table_and_touch_all(path: Path):
    table = SOURCE.read_questions(path)
    for name in table.column_names:
        for buffer in filter(None, table.column(name).buffers()):
            np.frombuffer(buffer, np.uint8).max(initial=0)
    return table.nbytes / MEBIBYTE, table


def run_eval(predictions: Path, truth: Path):
    report = evaluate(SOURCE, [predictions], truth)
    return report.as_data()["predictions"][0]["scores"]["overall"]["all"], report


def worker_memory(path: Path) -> tuple[int, float]:
    """Size of what is sent to a spawned worker, and the worker's own (not shared) growth in MB while it reads rows."""
    message = pickle.dumps(SOURCE.read_questions(path))
    return len(message), measure(_read_rows, message).result


def _read_rows(message: bytes):
    before = _own_bytes()
    table = pickle.loads(message)
    draw = random.Random(0)
    for _ in range(ROWS_READ_BY_A_WORKER):
        index = draw.randrange(len(table))
        table.qid(index), table.question(index), table.answer(index), table.video(index)
    return (_own_bytes() - before) / MEBIBYTE, table


def _own_bytes() -> int:
    """Memory that belongs to this process alone: not backed by a file, so not shared with others that read it."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("Linux reports anonymous memory")


def write_predictions(path: Path, truth: Path) -> None:
    draw = random.Random(1)
    table = SOURCE.read_questions(truth)
    rows = [
        {"qid": table.qid(index), "answer": table.answer(index) if draw.random() < 0.5 else draw.choice(_ANSWERS)}
        for index in range(len(table))
    ]
    path.write_text(json.dumps(rows), encoding="utf-8")


def run(folder: Path, train_questions: int, test_questions: int) -> tuple[dict[str, str], list[Figure]]:
    """Makes the annotations in `folder` and measures everything; facts about the set, and figures."""
    raw, data = folder / "raw", folder / "data"
    raw.mkdir()
    train_raw, test_raw = raw / "train_balanced.txt", raw / "test_balanced.txt"
    with _announced("writing the annotations"):
        write_questions(train_raw, train_questions, videos=7700, seed=1)
        write_questions(test_raw, test_questions, videos=1900, seed=2)
    with _announced("json.load of the published files"):
        raw_load = measure(load_json_files, train_raw, test_raw)
    with _announced("preprocessing"):
        preprocessed = measure(run_preprocess, raw, data)
    train, val, test = (data / SOURCE.split_files[split] for split in ("train", "val", "test"))
    with _announced("the training table"):
        dicts = measure(load_json_list, train)
        plain = measure(load_json_files, train)
        opened = measure(open_table, train)
        touched = measure(open_table_and_touch_all, train)
        train.with_name(f".{train.name}.arrow").unlink()
        first = measure(open_table, train)
        large_message, large_worker = worker_memory(train)
        small_message, small_worker = worker_memory(val)
    with _announced("evaluation"):
        predictions = folder / "predictions.json"
        write_predictions(predictions, test)
        read_both = measure(load_json_files, predictions, test)
        evaluated = measure(run_eval, predictions, test)
        test.with_name(f".{test.name}.arrow").unlink()
        evaluated_first = measure(run_eval, predictions, test)
    facts = {
        "read": f"{_megabytes(train_raw, test_raw):,.0f} MB, {train_questions:,} + {test_questions:,} questions",
        "written": f"{_megabytes(train, val, test):,.0f} MB; {preprocessed.result}",
    }
    figures = [
        Figure("preprocess: time, against json.load", preprocessed.seconds, raw_load.seconds, "s", 3),
        Figure("preprocess: peak memory, against json.load", preprocessed.peak, raw_load.peak, "MB", 2 / 3),
        Figure("training table: memory with every page read, against dicts", touched.growth, dicts.growth, "MB", 1 / 4),
        Figure("training table: opening, against json.load", opened.seconds, plain.seconds, "s", 1 / 5),
        Figure("  opening without the copy preprocessing leaves", first.seconds, plain.seconds, "s", None),
        Figure("worker: own memory, training split against val (1/9)", large_worker, small_worker, "MB", 1.25),
        Figure("worker: bytes sent to it, training split against val", large_message, small_message, "B", 1.25),
        Figure("eval.py agqa, against json.load of both files", evaluated.seconds, read_both.seconds, "s", 10),
        Figure("  without the copy", evaluated_first.seconds, read_both.seconds, "s", 10),
    ]
    return facts, figures


@contextmanager
def _announced(step: str) -> Iterator[None]:
    start = time.perf_counter()
    print(f"{step} …", end=" ", flush=True)
    yield
    print(f"{time.perf_counter() - start:.0f} s", flush=True)


def _megabytes(*paths: Path) -> float:
    return sum(path.stat().st_size for path in paths) / MEBIBYTE


def _as_table(figures: list[Figure]) -> Table:
    table = Table("", "ours", "reference", "ratio", "at most")
    for figure in figures:
        bound = "" if figure.at_most is None else f"{figure.at_most:.2f}"
        values = (f"{value:,.{0 if value >= 100 else 2}f} {figure.unit}" for value in (figure.ours, figure.reference))
        table.add_row(figure.name, *values, f"{figure.ratio:.3f}", bound)
    return table


@run_cli
def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=1_600_000, help="training questions (default: %(default)s)")
    parser.add_argument("--test", type=int, default=669_000, help="test questions (default: %(default)s)")
    parser.add_argument("--dir", type=Path, help="where to make a temporary folder (default: the system's)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        facts, figures = run(Path(folder), options.train, options.test)
    for name, fact in facts.items():
        print(f"{name}: {fact}")
    Console(width=110).print(_as_table(figures))


if __name__ == "__main__":
    raise SystemExit(main())
