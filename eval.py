"""Accuracy of predictions, by type of question.

    python eval.py anet result/anetqa_by_best.json data/anetqa/test.csv
    python eval.py agqa result/agqa_by_a.json result/agqa_by_b.json data/agqa/test.json --json scores.json
    python eval.py anet base=result/A1.json,result/A2.json trm=result/B1.json,result/B2.json data/anetqa/test.csv
    python eval.py anet result/A.json result/B.json data/anetqa/test.csv --report out.html --frames data/anetqa/frames

A prediction file is a list of {"qid", "answer"} and, where ten answers are predicted, "answer10", the best first; or a
file of ActivityNet-QA's or NExT-QA's own evaluation, Video-ChatGPT, Video-LLaVA or lmms-eval. It answers every question
of the test split as preprocessed (GROUNDTRUTH) exactly once. Answers are compared as they are.
"""

import argparse
from pathlib import Path

from datasets.annotations import QASource
from datasets.errors import InputError, run_cli
from datasets.files import check_writable, write_json
from datasets.sources import QA_SOURCES, get_qa_source
from modules.evaluation.files.exports import EXPORTS, export, export_path
from modules.evaluation.priors import find_training, read_training
from modules.evaluation.runs import find_runs
from modules.evaluation.scores import Report, evaluate
from modules.evaluation.tables.confidence import confidence_tables, explain_confidence
from modules.evaluation.tables.probes import probe_tables
from modules.evaluation.tables.scores import difference_table, explain, print_table, prior_table, run_table, score_table

PUBLISHED_NAMES = {"anet": "anetqa", "next": "nextqa"}


@run_cli
def main(arguments: list[str] | None = None) -> None:
    options = read_options(arguments)
    source = get_qa_source(PUBLISHED_NAMES.get(options.dataset, options.dataset))
    check_outputs(options, source)
    train_file = find_training(source, options.groundtruth, options.train)
    training = None if train_file is None else read_training(source, train_file)
    how = (options.allow_missing, training, options.only_answered_by_all, options.probes, options.val)
    report = evaluate(source, options.predictions, options.groundtruth, *how)
    print_report(report, train_file)
    if options.json:
        write_json(options.json, report.as_data(), indent=1)
    for predictions in report.predictions if options.export else ():
        path = export_path(predictions.path, options.export)
        export(path, options.export, predictions, report.table)
        print(f"{options.export}: {path}")
    if options.plot:
        from modules.evaluation.plot import write_plot

        write_plot(options.plot, report)
        print(f"plot: {options.plot}")
    if options.report:
        from modules.evaluation.page.page import write_page

        write_page(options.report, report, options.frames, options.log, training)
        print(f"report: {options.report}")


def read_options(arguments: list[str] | None) -> argparse.Namespace:
    """The words of the command line, whose PREDICTIONs may stand between options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help=f"{', '.join([*PUBLISHED_NAMES, *QA_SOURCES])}")
    parser.add_argument(
        "predictions", nargs="+", metavar="PREDICTION", help="FILE, or the runs of a model: NAME=FILE,…"
    )
    parser.add_argument("groundtruth", metavar="GROUNDTRUTH", help="the test split, e.g. data/anetqa/test.csv")
    parser.add_argument("--json", metavar="FILE", help="write the same numbers to FILE, too")
    parser.add_argument("--allow-missing", action="store_true", help="score the questions that were answered")
    parser.add_argument("--only-answered-by-all", action="store_true", help="compare where all files have an answer")
    parser.add_argument("--export", choices=EXPORTS, help="write them for other tools, beside PREDICTION")
    parser.add_argument("--train", metavar="FILE", help="training split, for priors (default: that beside GROUNDTRUTH)")
    parser.add_argument(
        "--probes", action="store_true", help="with PREDICTION_PROBE.json, as scripts/probe.sh writes it"
    )
    parser.add_argument(
        "--val", nargs="+", metavar="FILE", default=[], help="of the validation split: a PREDICTION each, and its truth"
    )
    parser.add_argument("--plot", metavar="FILE", help="draw a bar chart with intervals: .png, .pdf or .svg")
    page = parser.add_argument_group("a page to look at, and to search for examples")
    page.add_argument("--report", metavar="FILE", help="write the page, one HTML file that stands for itself")
    page.add_argument("--frames", metavar="FOLDER", help="show the videos' frames, e.g. of data/anetqa/frames")
    page.add_argument(
        "--log", metavar="RUN", action="append", default=[], help="folder of a run, for its curves; repeatable"
    )
    options = parser.parse_intermixed_args(arguments)
    if options.val and len(options.val) != len(find_runs(options.predictions)[0]) + 1:
        raise InputError("--val takes a prediction of the validation split for each PREDICTION, and at last its truth")
    for name in ("frames", "log"):
        if getattr(options, name) and not options.report:
            raise InputError(f"--{name} is for the page; add --report FILE, such as --report report.html")
    return options


def check_outputs(options: argparse.Namespace, source: QASource) -> None:
    """Raises InputError for what would be refused, before anything is computed."""
    for path in filter(None, (options.json, options.plot, options.report)):
        check_writable(path)
    files = find_runs(options.predictions)[0]
    for file in files if options.export else ():
        check_writable(export_path(file, options.export))
    if options.plot:  # these imports are slow, and of no use to the tables
        from modules.evaluation.plot import check_plot

        check_plot(options.plot, len(files))
    if options.report:
        from modules.evaluation.page.page import check_page

        truth = source.read_questions(Path(options.groundtruth))
        check_page(len(files), source, truth, options.frames, options.log)


def print_report(report: Report, train_file: Path | None) -> None:
    """The tables, and what they do not say."""
    print_table(run_table(report) if report.spreads else score_table(report))
    if report.differences:
        print_table(difference_table(report))
    if report.priors is not None:
        print_table(prior_table(report, report.priors))
        print("\n".join([f"priors: from {train_file}", *explain(report.priors)]))
    for table in [*probe_tables(report), *confidence_tables(report)]:
        print_table(table)
    for line in [*explain_confidence(report), *report.provenance, *report.remarks]:
        print(line)
    total = len(report.table)
    if report.left_out:
        print(f"compared on the {total:,} of {total + report.left_out:,} questions that all files answer")
    for name, different in zip(report.names, report.disagreements(), strict=True):
        if different:
            print(f"{name}: takes another answer for the true one of {different:,} questions; scored against ours")
    for name, missing in zip(report.names, report.missing(), strict=True):
        if missing:
            share = f"{missing:,} of {total:,} questions ({100 * missing / total:.1f} %)"
            print(f"{name}: {share} are missing; its accuracies are over the others")


if __name__ == "__main__":
    raise SystemExit(main())
