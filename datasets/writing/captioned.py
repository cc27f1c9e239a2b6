"""Last steps of the preprocessing of every captioned collection: checks between the splits, and the files."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py

from datasets.captions import CaptionSource
from datasets.clips import dataset_names
from datasets.errors import InputError, explained
from datasets.names import spelt_alike
from datasets.writing.staging import annotations_parser, staged

Record = Mapping[str, Any]


def parse_arguments(arguments: Sequence[str] | None, description: str, output_dir: Path) -> argparse.Namespace:
    """The command line that all captioned collections share: `input_dir`, `output_dir`, `features`."""
    parser = annotations_parser(description, output_dir)
    told = "leave out the videos that have no features in this file"
    parser.add_argument("--features", type=Path, metavar="H5", help=told)
    return parser.parse_args(arguments)


def write_splits(
    records: Mapping[str, list[Record]],
    id_field: str,
    source: CaptionSource,
    output_dir: Path,
    features: Path | None = None,
) -> dict[str, int]:
    """Writes the files of `source.split_files`, all or none, and says how many videos and records went into each.

    Args:
        id_field: the field that holds a record's video id.
        features: an HDF5 file; videos without features in it are left out. None: all are written.

    Raises:
        InputError: a video is in two splits; nothing is left of a split; `features` cannot be read; a file cannot be
            written. In that case nothing is.
    """
    split_of: dict[str, str] = {}
    for split, own in records.items():
        for record in own:
            other = split_of.setdefault(record[id_field], split)
            if other != split:
                raise InputError(f"the video {record[id_field]!r} is in both {other} and {split}; take it out of one")
    kept = dict(records)
    if features is not None:
        # Network file systems often cannot lock.
        unreadable = explained(f"cannot read the features in {features}")
        with unreadable, h5py.File(features, "r", locking=False) as file:
            extracted = set(map(spelt_alike, dataset_names(file)))
        for split, own in records.items():
            kept[split] = [
                record
                for record in own
                if spelt_alike(source.feature_key.format(video_id=record[id_field])) in extracted
            ]
            print(f"{split}: left out {len(own) - len(kept[split])} of {len(own)} records, no features in {features}")
            if not kept[split]:
                raise InputError(f"{features} has features of no video of {split}; is it of another dataset?")
    with staged(output_dir) as folder:
        for split, own in kept.items():
            with (folder / source.split_files[split]).open("w", encoding="utf-8") as file:
                json.dump(own, file, ensure_ascii=False, indent=0)
    for split, own in kept.items():
        path = output_dir / source.split_files[split]
        print(f"{path}: {len({record[id_field] for record in own}):,} videos, {len(own):,} records")
    return {split: len(own) for split, own in kept.items()}
