"""The public AGQA 2.0 annotations to train.json, val.json, test.json and vocab.json.

    python preproc/preproc_agqa.py -i DOWNLOADS -o data/agqa

INPUT_DIR holds train_balanced.txt and test_balanced.txt, as published. One in ten training videos, drawn by --seed,
becomes val.json with all of its questions. The vocabulary is every answer of train_balanced.txt, so it does not depend
on the draw. Of a record, what training and evaluation read is kept; --full keeps programs and groundings, too.
"""

import hashlib
import json
import sys
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: our own `datasets` lies beside this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from tqdm import tqdm

from datasets.errors import InputError, run_cli
from datasets.json_stream import iterate_json_object
from datasets.names import video_id_problem
from datasets.question_table import text_problem
from datasets.sources.agqa import FIELDS, OPTIONAL, SOURCE, flags_among, record_problem
from datasets.writing.staging import annotations_parser, staged
from preproc.make_vocabulary import make_vocabulary

VAL_FRACTION = 0.1


def preprocess(
    input_dir: str | Path, output_dir: str | Path, seed: int = 0, val_fraction: float = VAL_FRACTION, full: bool = False
) -> dict[str, int]:
    """Writes a JSON file per split and vocab.json, reading the annotations piece by piece.

    The splits are also left in the form that training opens (see `datasets.question_table.read_table`).

    Args:
        seed: decides which training videos become val.json.
        val_fraction: share of those videos, above 0 and below 1.

    Returns:
        split -> number of questions written, and "vocabulary" -> number of answers.

    Raises:
        InputError: a file is missing or broken, a record lacks a field or has one of the wrong type, a question id
            occurs twice, there are fewer than two training videos, or the output cannot be written. Then nothing is.
    """
    train_file, test_file = Path(input_dir) / "train_balanced.txt", Path(input_dir) / "test_balanced.txt"
    if not 0 < val_fraction < 1:
        raise InputError(f"the share of validation videos is {val_fraction}; it must be above 0 and below 1")
    if not test_file.exists():  # not after an hour of reading the other one
        raise InputError(f"{test_file} does not exist")
    counts: dict[str, int] = {}
    with staged(output_dir) as folder, tempfile.TemporaryFile(dir=folder) as spool:
        sizes, video_of, videos, answers = array("I"), array("I"), {}, Counter()
        for entry, record in _entries(train_file, full):
            sizes.append(spool.write(entry))
            video_of.append(videos.setdefault(record["video_id"], len(videos)))
            answers[record["answer"]] += 1
        if len(videos) < 2:
            raise InputError(f"{train_file} has questions on {len(videos)} video(s); a split by video needs at least 2")
        val_videos = {videos[video_id] for video_id in draw_videos(videos, val_fraction, seed)}
        in_val = [video in val_videos for video in video_of]

        spool.seek(0)
        with (
            _ObjectWriter(folder / SOURCE.split_files["train"]) as train,
            _ObjectWriter(folder / SOURCE.split_files["val"]) as val,
        ):
            for size, is_val in zip(sizes, in_val, strict=True):
                (val if is_val else train).write(spool.read(size))
            counts["train"], counts["val"] = train.count, val.count
        with _ObjectWriter(folder / SOURCE.split_files["test"]) as test:
            for entry, _ in _entries(test_file, full):
                test.write(entry)
            counts["test"] = test.count

        vocabulary = make_vocabulary(answers)
        with (folder / "vocab.json").open("w", encoding="utf-8") as file:
            json.dump(vocabulary, file, ensure_ascii=False, indent=0)
        for split in counts:
            SOURCE.read_questions(folder / SOURCE.split_files[split])
    return {**counts, "vocabulary": len(vocabulary)}


def draw_videos(video_ids: Iterable[str], fraction: float, seed: int) -> list[str]:
    """A share of the videos, at least one and not all: those whose hash with the seed comes first.

    The draw depends on the ids and the seed alone, on any machine and with any version of Python.
    """
    ordered = sorted(video_ids, key=lambda video_id: hashlib.sha256(f"{seed}:{video_id}".encode()).digest())
    count = round(fraction * len(ordered))
    return ordered[: min(max(count, 1), len(ordered) - 1)]


class _ObjectWriter:
    """Writes `"key": {…}` entries as one JSON object, a line each."""

    def __init__(self, path: Path):
        self.file = path.open("wb")
        self.count = 0

    def write(self, entry: bytes) -> None:
        self.file.write(b",\n" if self.count else b"{\n")
        self.file.write(entry)
        self.count += 1

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        with self.file:
            self.file.write(b"\n}\n" if self.count else b"{}\n")


def _entries(path: Path, full: bool) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yields every record of a file, checked, with its entry for the output. Shows a progress bar on a terminal."""
    seen: set[str] = set()
    size = path.stat().st_size if path.exists() else None
    with tqdm(total=size, desc=path.name, unit="B", unit_scale=True, disable=None) as bar:
        for qid, record in iterate_json_object(path, bar.update):
            problem = text_problem({"question id": qid}, ("question id",)) or record_problem(record)
            problem = problem or video_id_problem(record["video_id"])
            if problem is None and qid in seen:
                problem = "the question id occurs twice"
            if problem is not None:
                raise InputError(f"{path}, record {qid!r}: {problem}")
            seen.add(qid)
            yield f"{json.dumps(qid)}: {json.dumps(record if full else _slim(record))}".encode(), record
    if not seen:
        raise InputError(f"{path} has no questions")


def _slim(record: dict[str, Any]) -> dict[str, Any]:
    optional = [name for name in OPTIONAL if record.get(name) is not None]
    return {name: record[name] for name in (*FIELDS, *optional, *flags_among(tuple(record)))}


@run_cli
def main(arguments: list[str] | None = None) -> None:
    parser = annotations_parser(__doc__, Path("data/agqa"))
    parser.add_argument("--seed", type=int, default=0, help="draws the validation videos (default: %(default)s)")
    parser.add_argument("--val-fraction", type=float, default=VAL_FRACTION, help="their share (default: %(default)s)")
    parser.add_argument("--full", action="store_true", help="keep all fields of a record")
    options = parser.parse_args(arguments)
    counts = preprocess(options.input_dir, options.output_dir, options.seed, options.val_fraction, options.full)
    print(f"{options.output_dir}: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))


if __name__ == "__main__":
    raise SystemExit(main())
