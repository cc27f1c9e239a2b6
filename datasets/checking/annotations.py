"""Checks of the annotations of questions, against each other and against the vocabulary."""

from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from datasets.annotations import QASource, QuestionTable, read_vocabulary

from .report import Check


def read_splits(source: QASource, root: Path, splits: Iterable[str]) -> tuple[dict[str, QuestionTable], Check]:
    """Reads those of `splits` that can be read."""
    check = Check("annotations")
    tables = {}
    for split in splits:
        path = root / source.split_files[split]
        table = check.attempt(split, partial(source.read_questions, path))
        if table is not None:
            tables[split] = table
    check.summary = ", ".join(
        f"{split}: {len(table):,} questions, {len(table.video_ids):,} videos" for split, table in tables.items()
    )
    return tables, check


def check_vocabulary(tables: dict[str, QuestionTable], root: Path, needed: bool = True) -> Check:
    """Every training answer is in the vocabulary; how many of the others are.

    Args:
        needed: whether a run reads it; a checkpoint that was trained here brings its own to the test.
    """
    path = root / "vocab.json"
    if not needed and not path.exists():
        missing = (
            path.name,
            f"{path} does not exist: needed unless the checkpoint brings its own, as those made here do",
        )
        return Check("vocabulary", problems=[missing], fatal=False)
    check = Check("vocabulary")
    words = check.attempt(path.name, lambda: read_vocabulary(path))
    if words is None:
        return check
    known = set(words)
    never = 0
    covered = []
    for split, table in tables.items():
        counts = Counter(table.column("answer").to_pylist())
        outside = {answer: count for answer, count in counts.items() if answer not in known}
        covered.append(f"{split} {1 - sum(outside.values()) / len(table):.1%}")
        if split == "train":
            check.problems += [
                (repr(answer), f"not in the vocabulary, answer of {count} training questions")
                for answer, count in outside.items()
            ]
            never = len(known - counts.keys())
    check.looked_at = len(words)
    check.summary = f"answers covered: {', '.join(covered)}" if covered else ""
    if never:
        check.summary += f"; {never} never occur in training"
    return check


def check_duplicates(tables: dict[str, QuestionTable]) -> tuple[Check, Check]:
    """Question ids that two splits share are an error; questions asked twice, and shared videos, are notes."""
    ids, repeats = Check("question ids"), Check("repeated questions", fatal=False)
    before: dict[str, QuestionTable] = {}
    shared_videos = []
    for split, table in tables.items():
        qids = table.column("qid")
        for other, earlier in before.items():
            shared = qids.filter(pc.is_in(qids, earlier.column("qid"))).to_pylist()
            ids.problems += [(qid, f"a question of {other} and of {split}") for qid in shared]
            if videos := len(set(earlier.video_ids).intersection(table.video_ids)):
                shared_videos.append(f"{videos} videos in {other} and in {split}")
        before[split] = table
        for first, index in _asked_again(table):
            same = "the same" if table.answer(first) == table.answer(index) else "another"
            repeats.problems.append((table.qid(index), f"asks what {table.qid(first)} asks, with {same} answer"))
        ids.looked_at += len(table)
        repeats.looked_at += len(table)
    ids.summary = "; ".join(shared_videos)
    return ids, repeats


def _asked_again(table: QuestionTable) -> list[tuple[int, int]]:
    """(first, index) of questions that were asked about the same video, in the same words, before."""
    questions = pc.dictionary_encode(table.column("question")).indices.to_numpy().astype(np.int64)
    keys = questions * len(table.video_ids) + table.video_codes
    _, firsts, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return [(int(firsts[inverse[i]]), int(i)) for i in np.flatnonzero(firsts[inverse] != np.arange(len(keys)))]
