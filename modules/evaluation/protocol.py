"""The protocol of a dataset's generalisation splits, and the training that the record beside predictions tells of."""

from collections.abc import Mapping
from typing import Any

from datasets.annotations import QASource

SPLIT = "agqa_split"  # of a record: the questions that training left out


def check_protocol(source: QASource, records: Mapping[str, Mapping[str, Any] | None]) -> tuple[set[str], list[str]]:
    """Finds which breakdowns are not defined for models that were trained like this.

    Args:
        records: name of a prediction file -> its record; None: there is none.

    Returns:
        titles that are not to be shown; a sentence for each mismatch.
    """
    undefined: set[str] = set()
    remarks = []
    for name, record in records.items() if source.generalisation else ():
        if record is None or SPLIT not in record:
            continue
        trained = record[SPLIT]
        titles = " and ".join(source.generalisation)
        if trained is None:
            undefined |= source.generalisation.keys()
            remarks.append(f"{name}: {titles} are not shown: trained on all questions, which the protocol leaves out")
            continue
        if not trained:
            remarks.append(f"{name}: {titles} may not be by the protocol: its checkpoint does not say what it left out")
            continue
        for title, needed in source.generalisation.items():
            if needed != trained:
                undefined.add(title)
                remarks.append(f"{name}: {title} is not shown: {SPLIT}={trained}, and the protocol has it of {needed}")
            else:
                remarks.append(f"{name}: {title} alone is by the protocol: trained without questions of {trained}")
    return undefined, remarks
