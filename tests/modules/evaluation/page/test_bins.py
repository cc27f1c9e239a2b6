"""Questions by frequency of the answer and by length of the video."""

import numpy as np
import pytest

from datasets.sources import anetqa
from modules.evaluation.page.bins import by_frequency, by_length


def make_table(path, answers, videos=None):
    rows = [f"q{i},what,{answer},{videos[i] if videos else 'v'},0\n" for i, answer in enumerate(answers)]
    path.write_text("qid,question,answer,video_id,type\n" + "".join(rows))
    return anetqa.read_questions(path)


def test_by_frequency(tmp_path):
    training = make_table(tmp_path / "train.csv", ["yes"] * 12 + ["no"] * 9 + ["red"])
    table = make_table(tmp_path / "test.csv", ["yes", "no", "red", "blue", "yes"])
    found = {label: np.flatnonzero(mask).tolist() for label, mask in by_frequency(table, training).items()}
    assert found == {"never": [3], "once": [2], "4 to 9 times": [1], "10 to 29 times": [0, 4]}
    found = {label: np.flatnonzero(mask).tolist() for label, mask in by_frequency(table, table).items()}
    assert found == {"once": [1, 2, 3], "2 to 3 times": [0, 4]}


@pytest.mark.parametrize(
    ("frames", "labels"),
    [
        ([30 + 45 * i for i in range(10)], "10 to 25 s|40 to 55 s|70 to 85 s|100 to 115 s|2:10 min to 2:25 min"),
        ([306, 306, 318, 318, 330, 330, 342, 342, 366], "102 s|106 s|110 s|114 s to 2:02 min"),
        ([18, 18], "6 s"),
        ([18, 19], "6 s"),
        ([18, 24], "6 s|8 s"),
        ([30, 450], "10 s|2:30 min"),
        ([], ""),
    ],
)
def test_by_length(tmp_path, frames, labels):
    table = make_table(tmp_path / "test.csv", ["yes"] * 22, [f"v{index % 11}" for index in range(22)])
    bins = by_length(table, {f"v{index}": number for index, number in enumerate(frames)}, 3)
    assert "|".join(bins) == labels
    members = np.sum(list(bins.values()), axis=0) if bins else np.zeros(22)
    assert members.tolist() == [index % 11 < len(frames) for index in range(22)]  # the others: length not known
