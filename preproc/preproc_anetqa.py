"""The public ActivityNet-QA annotations to train.csv, val.csv, test.csv and vocab.json.

    python preproc/preproc_anetqa.py -i DOWNLOADS -o data/anetqa

INPUT_DIR holds {train,val,test}_q.json and {train,val,test}_a.json, as published. The answers that occur at least twice
in training form the vocabulary. Training questions with another answer are dropped; val and test keep all questions.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: our own `datasets` lies beside this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import pandas as pd

from datasets.annotations import json_list_rows
from datasets.checking.published import which_published
from datasets.errors import InputError, explained, run_cli
from datasets.names import video_id_problem
from datasets.question_table import text_problem
from datasets.sources.anetqa import COLUMNS, QUESTION_TYPES, SOURCE
from datasets.writing.staging import annotations_parser, staged
from preproc.make_vocabulary import make_vocabulary

MIN_ANSWER_COUNT = 2


def preprocess(input_dir: str | Path, output_dir: str | Path) -> dict[str, int]:
    """Writes a CSV per split, and vocab.json (answer -> index, the most frequent first; ties in alphabetical order).

    Returns:
        split -> number of questions written, and "vocabulary" -> number of answers.

    Raises:
        InputError: a file is missing or broken, a field is missing or of the wrong type, the ids of questions and
            answers differ, no answer occurs twice, or the output cannot be written. In that case nothing is.
    """
    tables = {split: _read_split(Path(input_dir), split) for split in SOURCE.split_files}
    train = tables["train"]
    vocabulary = make_vocabulary(train["answer"], MIN_ANSWER_COUNT)
    if not vocabulary:
        raise InputError(f"{Path(input_dir) / 'train_a.json'}: no answer occurs {MIN_ANSWER_COUNT} times")
    tables["train"] = train[train["answer"].isin(vocabulary)]
    with staged(output_dir) as folder:
        for split, table in tables.items():
            table.to_csv(folder / SOURCE.split_files[split], columns=COLUMNS, index=False, lineterminator="\n")
        with (folder / "vocab.json").open("w", encoding="utf-8") as file:
            json.dump(vocabulary, file, ensure_ascii=False, indent=0)
    return {**{split: len(table) for split, table in tables.items()}, "vocabulary": len(vocabulary)}


def _read_split(input_dir: Path, split: str) -> pd.DataFrame:
    """The COLUMNS of one split, in the order of its questions."""
    questions = _read_table(input_dir / f"{split}_q.json", _question_problem)
    answers = _read_table(input_dir / f"{split}_a.json", _answer_problem)
    alone = questions.index.symmetric_difference(answers.index)
    if len(alone):
        named = ", ".join(map(repr, alone[:3])) + (", …" if len(alone) > 3 else "")
        raise InputError(f"{split}_q.json and {split}_a.json of {input_dir} do not match: {len(alone)} id(s): {named}")
    table = questions[["question", "video_name"]].join(answers[["answer", "type"]])
    return table.reset_index(names="qid").rename(columns={"video_name": "video_id"})


def _read_table(path: Path, problem_of: Callable[[dict[str, Any]], str | None]) -> pd.DataFrame:
    """The records of a file by their question_id."""
    records = []
    for where, record in json_list_rows(path):
        if problem := problem_of(record):
            raise InputError(f"{path}, {where}: {problem}")
        records.append(record)
    with explained(f"{path} holds no records with an id each", KeyError, ValueError):
        table = pd.DataFrame(records).set_index("question_id")
        if not table.index.is_unique:
            raise ValueError(f"{table.index[table.index.duplicated()][0]!r} occurs twice")
        return table


def _question_problem(record: dict[str, Any]) -> str | None:
    return text_problem(record, ("question_id", "video_name", "question")) or video_id_problem(record["video_name"])


def _answer_problem(record: dict[str, Any]) -> str | None:
    kind = record.get("type")
    if type(kind) is not int or str(kind) not in QUESTION_TYPES:
        return f"the type is {kind!r}; there are 0 to {len(QUESTION_TYPES) - 1}"
    return text_problem(record, ("question_id", "answer"))


@run_cli
def main(arguments: list[str] | None = None) -> None:
    options = annotations_parser(__doc__, Path("data/anetqa")).parse_args(arguments)
    counts = preprocess(options.input_dir, options.output_dir)
    inputs = (options.input_dir / f"{split}_{part}.json" for split in SOURCE.split_files for part in "qa")
    print("\n".join(which_published(inputs)))
    print(f"{options.output_dir}: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))


if __name__ == "__main__":
    raise SystemExit(main())
