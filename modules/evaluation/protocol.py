"""The protocol of a dataset's generalisation splits, and the training that the record beside predictions tells of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets.annotations import QASource
from datasets.errors import InputError
from datasets.files import read_json

SPLIT = "agqa_split"  # of a record: the questions that training left out


def read_record(predictions: Path) -> dict[str, Any] | None:
    """Reads the record of predictions, `A.meta.json` beside `A.json`; None: nothing.

    Raises:
        InputError: the file is no record.
    """
    path = predictions.with_name(f"{predictions.stem}.meta.json")
    if not path.exists():
        return None
    record = read_json(path)
    if not isinstance(record, dict):
        raise InputError(f"{path} is not a JSON object; is it a record of predictions?")
    return record


def check_protocol(source: QASource, files: Mapping[str, Path]) -> tuple[set[str], list[str]]:
    """Finds which breakdowns are not defined for models that were trained like this.

    Args:
        source: the dataset.
        files: name -> prediction file.

    Returns:
        titles that are not to be shown; a sentence for each mismatch.
    """
    undefined, remarks = set(), []
    for name, path in files.items() if source.generalisation else ():
        record = read_record(path)
        if record is None or SPLIT not in record:
            continue
        trained = record[SPLIT]
        if not trained:
            titles = " and ".join(source.generalisation)
            remarks.append(f"{name}: {titles} are not by the protocol: trained on all questions")
            continue
        for title, needed in source.generalisation.items():
            if needed != trained:
                undefined.add(title)
                remarks.append(f"{name}: {title} is not shown: {SPLIT}={trained}, and the protocol has it of {needed}")
            else:
                remarks.append(f"{name}: {title} alone is by the protocol: trained without questions of {trained}")
    return undefined, remarks
