"""Questions by frequency of the answer and by length of the video."""

import numpy as np
import pytest

from datasets.sources import anetqa
from modules.evaluation.page.bins import by_frequency, by_length

from ..results import write_truth


def test_by_frequency(tmp_path):
    rows = [(f"q{i}", "what", answer, "v", 0) for i, answer in enumerate(["yes"] * 4 + ["no"] * 2 + ["red"])]
    table = anetqa.read_questions(write_truth(tmp_path / "test.csv", rows))
    found = {label: np.flatnonzero(mask).tolist() for label, mask in by_frequency(table, table).items()}
    assert found == {"once": [6], "2 to 3 times": [4, 5], "4 to 9 times": [0, 1, 2, 3]}


@pytest.mark.parametrize(
    ("frames", "labels"),
    [
        ([30 + 45 * i for i in range(10)], "10 to 25 s|40 to 55 s|70 to 85 s|100 to 115 s|2:10 min to 2:25 min"),
        ([306, 306, 318, 318, 330, 330, 342, 342, 366], "102 s|106 s|110 s|114 s to 2:02 min"),
        ([18, 19], "6 s"),
        ([30, 450], "10 s|2:30 min"),
        ([], ""),
    ],
)
def test_by_length(tmp_path, frames, labels):
    rows = [(f"q{i}", "what", "yes", f"v{i % 11}", 0) for i in range(22)]
    table = anetqa.read_questions(write_truth(tmp_path / "test.csv", rows))
    bins = by_length(table, {f"v{index}": number for index, number in enumerate(frames)}, 3)
    assert "|".join(bins) == labels
    members = np.sum(list(bins.values()), axis=0) if bins else np.zeros(22)
    assert members.tolist() == [index % 11 < len(frames) for index in range(22)]  # the others: length not known
