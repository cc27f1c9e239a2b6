"""The public VATEX annotations to train.json and val.json: of every video its id and its English captions.

    python preproc/preproc_vatex.py -i DOWNLOADS -o data/vatex

INPUT_DIR holds vatex_training_v1.0.json and vatex_validation_v1.0.json, as published. Many of the videos are no longer
online: with --features data/vatex/vatex.h5, those without features are left out.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # run as a file: our own `datasets` lies beside this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from datasets.errors import run_cli
from datasets.sources.vatex import SOURCE, read_captions
from datasets.writing.captioned import parse_arguments, write_splits

RAW_FILES = {"train": "vatex_training_v1.0.json", "val": "vatex_validation_v1.0.json"}


def preprocess(input_dir: Path, output_dir: Path, features: Path | None = None) -> dict[str, int]:
    """Reads RAW_FILES of `input_dir` and writes train.json and val.json.

    Returns:
        split -> number of videos written.

    Raises:
        InputError: a file is missing or not VATEX's; see `write_splits`.
    """
    records = {}
    for split, name in RAW_FILES.items():
        table = read_captions(Path(input_dir) / name)
        records[split] = [
            {"videoID": table.video_id(video), "enCap": table.captions(video)} for video in range(len(table))
        ]
    return write_splits(records, "videoID", SOURCE, Path(output_dir), features)


@run_cli
def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_arguments(arguments, __doc__, Path("data/vatex"))
    preprocess(options.input_dir, options.output_dir, options.features)


if __name__ == "__main__":
    raise SystemExit(main())
