"""Samples of questions and videos."""

import pickle

import numpy as np
import pyarrow as pa
import pytest

from datasets.annotations import QuestionTable
from datasets.errors import InputError
from datasets.qa import IGNORE_INDEX, Draw, QADataset


class Frames:
    """Stands for a FrameReader: notes what is read."""

    root = "frames"

    def __init__(self, present=("v_a", "v_b")):
        self.present = present
        self.read_of = []

    def read(self, directory, random=None):
        self.read_of.append(directory)
        return np.full((1, 3, 2, 2), 0 if random is None else random.integers(256), np.uint8)

    def missing(self, directories):
        return [directory for directory in directories if directory not in self.present]

    def problems(self, directories):
        return {}


class Clips:
    path = "x.h5"

    def read(self, video_id, random=None):
        return np.zeros((2, 4), np.float32)

    def missing(self, video_ids):
        return [video_id for video_id in video_ids if video_id == "b"]


def table(num_videos: int = 2, num_questions: int = 6) -> QuestionTable:
    videos = [chr(ord("a") + i % num_videos) for i in range(num_questions)]
    columns = {
        "qid": pa.array([f"q{i}" for i in range(num_questions)], pa.large_string()),
        "question": pa.array([f"what {i}" for i in range(num_questions)], pa.large_string()),
        "answer": pa.array([("yes", "no", "?")[i % 3] for i in range(num_questions)]).dictionary_encode(),
        "video_id": pa.array(videos).dictionary_encode(),
    }
    return QuestionTable(pa.table(columns))


def dataset(seed=None, frames=None, clips=None, **size) -> QADataset:
    return QADataset(table(**size), frames or Frames(), clips, ["no", "yes"], "v_{video_id}", seed)


def test_each_video_is_read_once():
    data = dataset()
    first, second = data.read([Draw(3), Draw(0), Draw(1), Draw(4)])
    assert data.frames.read_of == ["v_b", "v_a"]
    assert first.qids == ["q3", "q1"]
    assert first.questions == ["what 3", "what 1"]
    assert first.labels == [1, 0]
    assert second.qids == ["q0", "q4"]
    assert second.labels == [1, 0]
    assert first.clips is None
    assert data.read([Draw(2)])[0].labels == [IGNORE_INDEX]  # "?" is outside the vocabulary
    assert dataset(clips=Clips())[0].clips.shape == (2, 4)
    assert len(data) == 6


def test_random_frames_depend_on_seed_epoch_and_first_question():
    def drawn(seed, *draws):
        return [sample.frames[0, 0, 0, 0] for sample in dataset(seed).read(draws)]

    alone = drawn(0, Draw(0, 5)) + drawn(0, Draw(1, 5))
    assert drawn(0, Draw(0, 5), Draw(1, 5), Draw(2, 5)) == alone
    assert drawn(0, Draw(1, 5), Draw(0, 5)) == alone[::-1]
    assert drawn(1, Draw(0, 5), Draw(1, 5)) != alone
    assert drawn(0, Draw(0, 6), Draw(1, 6)) != alone
    assert drawn(0, Draw(2, 5), Draw(3, 5)) != alone
    assert drawn(None, Draw(0, 5), Draw(1, 6)) == [0, 0]


def test_pickling():
    assert pickle.loads(pickle.dumps(dataset(0)))[4].qids == ["q4"]


def test_missing_videos():
    dataset().check_videos("val.csv")
    with pytest.raises(
        InputError, match=r"^8 of the 10 videos of val\.csv have no frames in frames \(c, d, e, f, g, …\); .*check_data"
    ):
        dataset(num_videos=10, num_questions=10).check_videos("val.csv")
    with pytest.raises(
        InputError, match=r"^1 of the 2 videos of val\.csv have no clip features in x\.h5 \(b\); extract"
    ):
        dataset(clips=Clips()).check_videos("val.csv")
