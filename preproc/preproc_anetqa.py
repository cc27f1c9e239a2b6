"""The public ActivityNet-QA annotations to train.csv, val.csv, test.csv and vocab.json.

    python preproc/preproc_anetqa.py -i DOWNLOADS -o data/anetqa

INPUT_DIR holds {train,val,test}_q.json and {train,val,test}_a.json, as published. The answers that occur at least twice
in training form the vocabulary. Training questions with another answer are dropped; val and test keep all questions.
"""

if __package__ in {None, ""}:  # run as a file: our own `datasets` must be found, from the repository's root
    import sys
    from pathlib import Path

    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import csv
import json
from pathlib import Path
from typing import Any

from datasets.errors import InputError, run_cli
from datasets.files import read_json
from datasets.names import video_id_problem
from datasets.question_table import text_problem
from datasets.sources.anetqa import COLUMNS, QUESTION_TYPES, SOURCE
from datasets.writing.staging import add_output_folder, staged
from preproc.make_vocabulary import make_vocabulary

MIN_ANSWER_COUNT = 2


def preprocess(input_dir: str | Path, output_dir: str | Path) -> dict[str, int]:
    """Writes a CSV a split, and vocab.json (answer -> index, the most frequent first; ties in alphabetical order).

    Returns:
        split -> number of questions written, and "vocabulary" -> number of answers.

    Raises:
        InputError: a file is missing or broken, a field is missing or of the wrong type, the ids of questions and
            answers differ, no answer occurs twice, or the output cannot be written. In that case nothing is.
    """
    splits = {split: _read_split(Path(input_dir), split) for split in SOURCE.split_files}
    vocabulary = make_vocabulary((row["answer"] for row in splits["train"]), MIN_ANSWER_COUNT)
    if not vocabulary:
        raise InputError(f"{Path(input_dir) / 'train_a.json'}: no answer occurs {MIN_ANSWER_COUNT} times")
    splits["train"] = [row for row in splits["train"] if row["answer"] in vocabulary]
    with staged(output_dir) as folder:
        for split, rows in splits.items():
            with (folder / SOURCE.split_files[split]).open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
        with (folder / "vocab.json").open("w", encoding="utf-8") as file:
            json.dump(vocabulary, file, ensure_ascii=False, indent=0)
    return {**{split: len(rows) for split, rows in splits.items()}, "vocabulary": len(vocabulary)}


def _read_split(input_dir: Path, split: str) -> list[dict[str, Any]]:
    """The rows of one split, in the order of its questions."""
    question_file, answer_file = input_dir / f"{split}_q.json", input_dir / f"{split}_a.json"
    questions = _read_records(question_file, ("video_name", "question"))
    answers = _read_records(answer_file, ("answer",))
    _check_same_ids(question_file, questions, answer_file, answers)
    rows = []
    for qid, question in questions.items():
        answer = answers[qid]
        if problem := video_id_problem(question["video_name"]):
            raise InputError(f"{question_file}, question {qid!r}: {problem}")
        kind = answer.get("type")
        if type(kind) is not int or str(kind) not in QUESTION_TYPES:
            received = f"the type is {kind!r}" if "type" in answer else "no 'type'"
            raise InputError(f"{answer_file}, question {qid!r}: {received}; there are 0 to {len(QUESTION_TYPES) - 1}")
        rows.append(
            {
                "qid": qid,
                "question": question["question"],
                "answer": answer["answer"],
                "video_id": question["video_name"],
                "type": kind,
            }
        )
    return rows


def _read_records(path: Path, texts: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """question_id -> record, of a file that lists records with an id and these texts."""
    records = read_json(path)
    if not isinstance(records, list) or not records:
        raise InputError(f"{path} is not a list of records, or an empty one")
    by_id: dict[str, dict[str, Any]] = {}
    for index, record in enumerate(records):
        if not isinstance(record, dict):
            raise InputError(f"{path}, item {index}: not an object")
        if problem := text_problem(record, ("question_id", *texts)):
            raise InputError(f"{path}, item {index}: {problem}")
        if record["question_id"] in by_id:
            raise InputError(f"{path}, item {index}: the question_id {record['question_id']!r} occurs twice")
        by_id[record["question_id"]] = record
    return by_id


def _check_same_ids(question_file: Path, questions: dict, answer_file: Path, answers: dict) -> None:
    for file, ids, other in ((answer_file, questions, answers), (question_file, answers, questions)):
        missing = [qid for qid in ids if qid not in other]
        if missing:
            named = ", ".join(map(repr, missing[:3])) + (", …" if len(missing) > 3 else "")
            raise InputError(
                f"{question_file.name} and {answer_file.name} do not match: {file} lacks {len(missing)} id(s): {named}"
            )


@run_cli
def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-i", "--input-dir", type=Path, required=True, help="folder of the published files")
    add_output_folder(parser, Path("data/anetqa"))
    options = parser.parse_args(arguments)
    counts = preprocess(options.input_dir, options.output_dir)
    print(f"{options.output_dir}: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))


if __name__ == "__main__":
    raise SystemExit(main())
