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

import argparse
import sys
from pathlib import Path

if not __package__:  # run as a file: our own `datasets` lies beside this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from datasets.checking.media import FRAMES_IF_QUICK
from datasets.checking.published import which_published
from datasets.checking.report import print_table, write_problems
from datasets.checking.roots import COLLECTIONS, check_qa, check_trm
from datasets.errors import InputError, check_counts, did_you_mean, run_cli
from datasets.sources import QA_SOURCES

TASKS = (*QA_SOURCES, "trm")


@run_cli
def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_root", type=Path, help="as data_root of run.py, e.g. data/anetqa, or data for trm")
    parser.add_argument("--task", required=True, help=", ".join(TASKS))
    parser.add_argument("--splits", nargs="+", help="only these, e.g. test (default: all of the dataset)")
    parser.add_argument("--no-features", action="store_true", help="clip features are not needed: *_mean baselines")
    parser.add_argument("--datasets", nargs="+", help="trm: collections (default: vatex tgif)")
    parser.add_argument("--width", type=int, default=1024, help="of a clip feature (default: %(default)s)")
    parser.add_argument("--max-video-len", type=int, default=100, help="clips that training uses (%(default)s)")
    parser.add_argument("--quick", action="store_true", help=f"decode {FRAMES_IF_QUICK} frames per video, not all")
    parser.add_argument("--jobs", type=int, help="threads that decode (default: the number of processors)")
    parser.add_argument("--list", type=Path, help="where all problems are listed (default: DATA_ROOT/problems.csv)")
    options = parser.parse_args(arguments)
    if options.task not in TASKS:
        raise InputError(f"--task {options.task!r}{did_you_mean(options.task, TASKS)}: known are {', '.join(TASKS)}")
    for option in ("splits", "no_features", "quick", "jobs") if options.task == "trm" else ("datasets",):
        if getattr(options, option):
            raise InputError(f"--{option.replace('_', '-')} says nothing about --task {options.task}: leave it out")
    check_counts(options, "width", "max_video_len", "jobs")
    if not options.data_root.is_dir():
        raise InputError(f"{options.data_root} is not a folder; give the data root, e.g. data/anetqa")
    both = {"width": options.width, "max_len": options.max_video_len}
    if options.task == "trm":
        checks = check_trm(options.data_root, options.datasets or COLLECTIONS, **both)
    else:
        only = {"splits": options.splits, "features": not options.no_features}
        checks = check_qa(options.task, options.data_root, **both, **only, quick=options.quick, jobs=options.jobs)
    print_table(checks)
    if options.task != "trm":
        files = [path for path in sorted(options.data_root.iterdir()) if path.suffix in (".csv", ".json")]
        print("\n".join(which_published(path for path in files if path.name != "problems.csv")))
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
