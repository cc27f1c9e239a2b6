"""Questions by frequency of the answer and by length of the video."""

import numpy as np
import pytest

from datasets.sources import anetqa
from modules.evaluation.page.bins import by_frequency, by_length


def make_table(path, answers, videos=None):
    videos = videos or ["v"] * len(answers)
    pairs = enumerate(zip(answers, videos, strict=True))
    rows = [f"q{index},what,{answer},{video},0" for index, (answer, video) in pairs]
    path.write_text("qid,question,answer,video_id,type\n" + "\n".join(rows) + "\n")
    return anetqa.read_questions(path)


def test_by_frequency_in_training(tmp_path):
    training = make_table(tmp_path / "train.csv", ["yes"] * 12 + ["no"] * 9 + ["red"])
    table = make_table(tmp_path / "test.csv", ["yes", "no", "red", "blue", "yes"])
    found = {label: np.flatnonzero(mask).tolist() for label, mask in by_frequency(table, training).items()}
    assert found == {"never": [3], "once": [2], "4 to 9 times": [1], "10 to 29 times": [0, 4]}


def test_by_frequency_among_themselves(tmp_path):
    table = make_table(tmp_path / "test.csv", ["yes"] * 3 + ["no"])
    found = {label: mask.tolist() for label, mask in by_frequency(table, table).items()}
    assert found == {"once": [False] * 3 + [True], "2 to 3 times": [True] * 3 + [False]}


def test_by_length(tmp_path):
    frames = {f"v{index}": 3 * (10 + 15 * index) for index in range(10)}  # 10, 25, … 145 s
    table = make_table(tmp_path / "test.csv", ["yes"] * 20, [f"v{index % 11}" for index in range(20)])
    bins = by_length(table, frames, 3)
    assert list(bins) == ["10 to 25 s", "40 to 55 s", "70 to 85 s", "100 to 115 s", "2:10 min to 2:25 min"]
    assert next(iter(by_length(table, frames, 1.5))) == "20 to 50 s"
    members = np.stack(list(bins.values()))
    assert members.sum(0).tolist() == [1 if index % 11 < 10 else 0 for index in range(20)]  # v10: length not known
    assert np.flatnonzero(bins["10 to 25 s"]).tolist() == [0, 1, 11, 12]


@pytest.mark.parametrize(
    ("frames", "labels"),
    [
        ([18, 18], ["6 s"]),
        ([18, 19], ["6 s"]),
        ([18, 24], ["6 s", "8 s"]),
        ([30, 450], ["10 s", "2:30 min"]),
        ([], []),
    ],
)
def test_few_lengths(tmp_path, frames, labels):
    table = make_table(tmp_path / "test.csv", ["yes"] * 2, ["v0", "v1"])
    bins = by_length(table, {f"v{index}": number for index, number in enumerate(frames)}, 3)
    assert list(bins) == labels
    assert sum(mask.sum() for mask in bins.values()) == len(frames)


def test_bins_around_two_minutes(tmp_path):
    table = make_table(tmp_path / "test.csv", ["yes"] * 10, [f"v{index}" for index in range(10)])
    bins = by_length(table, {f"v{index}": 3 * (102 + 4 * index) for index in range(10)}, 3)
    assert list(bins)[1:4] == ["110 to 114 s", "118 s to 2:02 min", "2:06 min to 2:10 min"]
