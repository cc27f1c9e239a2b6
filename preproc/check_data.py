"""Reads a data root before a long run, and says all that is wrong with it.

    python preproc/check_data.py data/anetqa --task anetqa
    python preproc/check_data.py data/anetqa --task anetqa --splits test     # before inference alone
    python preproc/check_data.py data/anetqa --task anetqa --no-features     # before anetqa_mean
    python preproc/check_data.py data --task trm [--datasets vatex tgif]

Every question's video must have frames and features that can be read, as training reads them; annotations must agree
with each other and with the vocabulary. Prints a table; lists every problem in DATA_ROOT/problems.csv, or where --list
says. The exit code is 1 if a run would stop or go wrong, and 0 otherwise: notes, such as frames that no question asks
about, do not count.
"""

if __package__ in {None, ""}:  # run as a file: our own `datasets` must be found, from the repository's root
    import sys
    from pathlib import Path

    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pyarrow.compute as pc
from tqdm import tqdm

from datasets.annotations import QASource, QuestionTable, read_vocabulary
from datasets.clips import ClipFeatures, dataset_names
from datasets.errors import InputError, did_you_mean, run_cli
from datasets.files import FRAME_SETTINGS
from datasets.frames import FrameReader, read_square
from datasets.names import is_system_entry, spelt_alike
from datasets.sources import CAPTION_SOURCES, QA_SOURCES, get_caption_source, get_qa_source
from preproc.check_report import Check, print_table, write_problems

TASKS = (*QA_SOURCES, "trm")
COLLECTIONS = ("vatex", "tgif")  # of the recipe task_pretrain_trm
DECODED_SIZE = 32  # pixels; an image is decoded as a whole, whatever its size here
FRAMES_IF_QUICK = 3


# --- annotations of questions ----------------------------------------------------------------------------------------


def read_splits(source: QASource, root: Path, splits: Iterable[str]) -> tuple[dict[str, QuestionTable], Check]:
    """Those of `splits` that can be read."""
    check = Check("annotations")
    tables = {}
    for split in splits:
        path = root / source.split_files[split]
        table = check.attempt(split, lambda path=path: source.read_questions(path))
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


# --- frames and features ---------------------------------------------------------------------------------------------


def check_frames(root: Path, directories: Sequence[str], quick: bool, jobs: int | None) -> list[Check]:
    """Every directory is there, numbered from 1 without gaps, and every image in it is whole."""
    check, unused = Check("frames"), Check("frames without questions", fatal=False)
    from_0 = Check("frames numbered from 0", fatal=False)
    reader = FrameReader(root, nframe=1)

    def look_at(directory: str) -> tuple[int, list[tuple[str, str]]]:
        try:
            names = reader.names(directory)
        except InputError as error:
            return 0, [(directory, str(error))]
        folder = reader.folder(directory)
        problems = [(directory, problem) for problem in numbering_problems(names, made.get(folder.name))]
        if not problems and _number(names[0]) == 0:
            from_0.problems.append((directory, f"{names[0]} is the first; preproc/extract_frames.py begins with 1"))
        places = range(len(names))
        if quick:
            places = sorted(set(np.linspace(0, len(names) - 1, FRAMES_IF_QUICK).astype(int)))
        for place in places:
            path = folder / names[place]
            try:
                read_square(path, DECODED_SIZE)
            except InputError as error:
                problems.append((f"{directory}/{path.name}", str(error)))
        return len(names), problems

    missing = check.attempt("frames", lambda: set(reader.missing(directories)))
    if missing is None:
        return [check, unused]
    made = check.attempt(FRAME_SETTINGS, reader.counts) or {}
    check.problems += [
        (directory, f"no directory {root / directory}") for directory in directories if directory in missing
    ]
    there = [directory for directory in directories if directory not in missing]
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        found = list(tqdm(pool.map(look_at, there), total=len(there), desc="frames", unit="video"))
    for _, problems in found:
        check.problems += problems
    check.looked_at = from_0.looked_at = len(directories)
    check.summary = _lengths([count for count, _ in found if count], "frames a video")
    folders = (path.name for path in root.iterdir() if path.is_dir())
    return [check, *([from_0] if from_0.problems else []), _unused(unused.name, directories, folders)]


def numbering_problems(names: Sequence[str], made: int | None) -> list[str]:
    """Why frames of a video must be missing, if something says so.

    Args:
        names: of all that are there, in order.
        made: how many preproc/extract_frames.py made; None: not known. Frames from elsewhere may be numbered from 0.
    """
    first, last = _number(names[0]), _number(names[-1])
    if last - first + 1 != len(names) or first > 1:
        return [f"{len(names)} frames are numbered {first} to {last}: some are missing; extract them again"]
    if made is not None and made != len(names):
        return [f"{len(names)} frames, and {made} were extracted; extract them again"]
    return []


def _number(name: str) -> int:
    return int(re.search(r"\d+(?=\.\w+$)", name)[0])


def check_features(path: Path, key: str, video_ids: Sequence[str], width: int, max_len: int) -> tuple[Check, Check]:
    """Every video has features of the width, of finite numbers."""
    check, unused = Check("features"), Check("features without questions", fatal=False)
    clips = ClipFeatures(path, width, key=key)
    missing = check.attempt(path.name, lambda: set(clips.missing(video_ids)))
    if missing is None:
        return check, unused
    lengths = []
    for video_id in tqdm(video_ids, desc="features", unit="video"):
        if video_id in missing:
            check.problems.append((video_id, f"no features in {path}"))
            continue
        features = check.attempt(video_id, lambda video_id=video_id: clips.read(video_id))
        if features is not None:
            lengths.append(len(features))
    clips.close()
    check.looked_at = len(video_ids)
    longer = sum(length > max_len for length in lengths)
    check.summary = _lengths(lengths, "clips a video")
    if longer:
        check.summary += f"; {longer / len(lengths):.1%} have more than {max_len}, which are sampled down"
    return check, _unused(unused.name, (key.format(video_id=video_id) for video_id in video_ids), _dataset_names(path))


def _dataset_names(path: Path) -> list[str]:
    with h5py.File(path, "r", locking=False) as file:
        return dataset_names(file)


def _unused(name: str, used: Iterable[str], there: Iterable[str]) -> Check:
    used = set(map(spelt_alike, used))
    there = sorted(thing for thing in there if not thing.startswith(".") and not is_system_entry(thing))
    problems = [(thing, "nothing asks about it") for thing in there if spelt_alike(thing) not in used]
    return Check(name, len(there), problems, fatal=False)


def _lengths(lengths: Sequence[int], unit: str) -> str:
    if not lengths:
        return ""
    return f"{min(lengths)} to {max(lengths)} {unit}, {np.median(lengths):g} in the middle"


# --- whole data roots ------------------------------------------------------------------------------------------------


def check_qa(
    name: str,
    root: Path,
    width: int = 1024,
    max_len: int = 100,
    quick: bool = False,
    jobs: int | None = None,
    splits: Sequence[str] | None = None,
    features: bool = True,
) -> list[Check]:
    """The checks of a question-answering data set's folder.

    Args:
        splits: those to look at; all if not given.
        features: whether clip features are needed; frames alone are what the `*_mean` baselines read.
    """
    source = get_qa_source(name)
    for split in splits or ():
        if split not in source.split_files:
            known = ", ".join(source.split_files)
            raise InputError(f"--splits {split!r}{did_you_mean(split, source.split_files)}: {name} has {known}")
    splits = splits or list(source.split_files)
    tables, readable = read_splits(source, root, splits)
    needs_vocabulary = "train" in splits or "val" in splits
    checks = [readable, check_vocabulary(tables, root, needs_vocabulary), *check_duplicates(tables)]
    videos = list(dict.fromkeys(video_id for table in tables.values() for video_id in table.video_ids))
    directories = [source.frame_directory.format(video_id=video_id) for video_id in videos]
    checks += check_frames(root / "frames", directories, quick, jobs)
    if features:
        checks += check_features(root / f"{name}.h5", source.feature_key, videos, width, max_len)
    return checks


def check_captions(name: str, root: Path, width: int = 1024, max_len: int = 100) -> list[Check]:
    """All checks of a captioned collection's folder."""
    source = get_caption_source(name)
    readable, shared = Check(f"{name}: annotations"), Check(f"{name}: videos in two splits", fatal=False)
    videos: dict[str, str] = {}
    for split, file in source.split_files.items():
        table = readable.attempt(split, lambda file=file: source.read_captions(root / file))
        if table is None:
            continue
        texts = int(table.starts[-1])
        readable.summary += f"{', ' if readable.summary else ''}{split}: {len(table):,} videos, {texts:,} captions"
        for video_id in table.video_ids:
            if videos.setdefault(video_id, split) != split:
                shared.problems.append((video_id, f"in {videos[video_id]} and in {split}"))
    shared.looked_at = len(videos)
    features, unused = check_features(root / f"{name}.h5", source.feature_key, list(videos), width, max_len)
    features.name, unused.name = f"{name}: features", f"{name}: features without captions"
    return [readable, shared, features, unused]


def check_trm(root: Path, datasets: Sequence[str] = COLLECTIONS, **options) -> list[Check]:
    """The checks of captioned collections, each in its folder under `root`; `root` may be the folder of just one."""
    if root.name in CAPTION_SOURCES and not any((root / name).is_dir() for name in datasets):
        return check_captions(root.name, root, **options)
    return [check for name in datasets for check in check_captions(name, root / name, **options)]


@run_cli
def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_root", type=Path, help="as data_root of run.py, e.g. data/anetqa, or data for trm")
    parser.add_argument("--task", required=True, help=", ".join(TASKS))
    parser.add_argument("--splits", nargs="+", help="only these, e.g. test (default: all of the data set)")
    parser.add_argument("--no-features", action="store_true", help="clip features are not needed: *_mean baselines")
    parser.add_argument("--datasets", nargs="+", help="trm: collections (default: vatex tgif)")
    parser.add_argument("--width", type=int, default=1024, help="of a clip feature (default: %(default)s)")
    parser.add_argument("--max-video-len", type=int, default=100, help="clips that training uses (%(default)s)")
    parser.add_argument("--quick", action="store_true", help=f"decode {FRAMES_IF_QUICK} frames a video, not all")
    parser.add_argument("--jobs", type=int, help="threads that decode (default: the number of processors)")
    parser.add_argument("--list", type=Path, help="where all problems are listed (default: DATA_ROOT/problems.csv)")
    options = parser.parse_args(arguments)
    if options.task not in TASKS:
        raise InputError(f"--task {options.task!r}{did_you_mean(options.task, TASKS)}: known are {', '.join(TASKS)}")
    for option in ("splits", "no_features", "quick", "jobs") if options.task == "trm" else ("datasets",):
        if getattr(options, option):
            raise InputError(f"--{option.replace('_', '-')} says nothing about --task {options.task}: leave it out")
    for option in ("width", "max_video_len", "jobs"):
        value = getattr(options, option)
        if value is not None and value < 1:
            raise InputError(f"--{option.replace('_', '-')} {value} must be at least 1")
    if not options.data_root.is_dir():
        raise InputError(f"{options.data_root} is not a folder; give the data root, e.g. data/anetqa")
    both = {"width": options.width, "max_len": options.max_video_len}
    if options.task == "trm":
        checks = check_trm(options.data_root, options.datasets or COLLECTIONS, **both)
    else:
        only = {"splits": options.splits, "features": not options.no_features}
        checks = check_qa(options.task, options.data_root, **both, **only, quick=options.quick, jobs=options.jobs)
    print_table(checks)
    path = options.list or options.data_root / "problems.csv"
    failed = sum(len(check.problems) for check in checks if check.failed)
    try:
        write_problems(checks, path)
        listed = f"all of them, and the notes, are listed in {path}" if failed else f"notes in {path}"
    except InputError as error:  # a data root may be read-only
        listed = f"the list is not written: {error}; name another place with --list FILE"
    print(f"{failed} problems; {listed}" if failed else f"fine; {listed}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
