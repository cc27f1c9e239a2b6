"""The answers of a training split to vocab.json, for a dataset that comes without a vocabulary.

python preproc/make_vocabulary.py msrvttqa data/msrvttqa --max-size 1500
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

if not __package__:  # run as a file: our own `datasets` lies beside this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from datasets.errors import InputError, check_counts, run_cli
from datasets.files import write_json
from datasets.sources import get_qa_source


def make_vocabulary(answers: Iterable[str], min_count: int = 1, max_size: int | None = None) -> dict[str, int]:
    """Answer -> index, the most frequent answer first, ties in alphabetical order.

    Args:
        answers: of all training questions, or how often each occurs in them (a Counter).
    """
    counts = Counter(answers)
    frequent = sorted((answer for answer in counts if counts[answer] >= min_count), key=lambda a: (-counts[a], a))
    return {answer: index for index, answer in enumerate(frequent[:max_size])}


def write_vocabulary(name: str, data_root: str | Path, min_count: int = 1, max_size: int | None = None) -> int:
    """Writes vocab.json of the dataset `name` to `data_root` and returns the number of answers in it.

    Raises:
        InputError: the training split cannot be read, or has no answer that is frequent enough.
    """
    source, data_root = get_qa_source(name), Path(data_root)
    table = source.read_questions(data_root / source.split_files["train"])
    vocabulary = make_vocabulary(table.column("answer").to_pylist(), min_count, max_size)
    if not vocabulary:
        raise InputError(f"{data_root / source.split_files['train']}: no answer occurs {min_count} times")
    write_json(data_root / "vocab.json", vocabulary, ensure_ascii=False, indent=0)
    return len(vocabulary)


@run_cli
def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="name of the dataset, as in datasets/")
    parser.add_argument("data_root", type=Path, help="its folder, e.g. data/msrvttqa")
    parser.add_argument("--min-count", type=int, default=1, help="leave out rarer answers (default: %(default)s)")
    parser.add_argument("--max-size", type=int, help="keep this many of the most frequent (default: all)")
    options = parser.parse_args(arguments)
    check_counts(options, "min_count", "max_size")
    count = write_vocabulary(options.dataset, options.data_root, options.min_count, options.max_size)
    print(f"{options.data_root / 'vocab.json'}: {count:,} answers")


if __name__ == "__main__":
    raise SystemExit(main())
