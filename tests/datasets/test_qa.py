import pickle

import numpy as np
import pyarrow as pa

from datasets.annotations import QuestionTable
from datasets.qa import IGNORE_INDEX, Draw, QADataset


class Frames:
    """Stands for a FrameReader: notes what is read."""

    def __init__(self):
        self.read_of = []

    def read(self, directory, random=None):
        self.read_of.append(directory)
        return np.full((1, 3, 2, 2), 0 if random is None else random.integers(256), np.uint8)


def dataset(seed=None, clips=None) -> QADataset:
    columns = {name: [f"{name[0]}{i}" for i in range(6)] for name in ("qid", "question")}
    table = pa.table({name: pa.array(column, pa.large_string()) for name, column in columns.items()})
    for name, texts in (("answer", ("yes", "no", "?")), ("video_id", "ab")):
        table = table.append_column(name, pa.array([texts[i % len(texts)] for i in range(6)]).dictionary_encode())
    return QADataset(QuestionTable(table), Frames(), clips, ["no", "yes"], "v_{video_id}", seed)


def test_each_video_is_read_once():
    data = pickle.loads(pickle.dumps(dataset()))
    first, second = data.read([Draw(3), Draw(0), Draw(1), Draw(4)])
    assert data.frames.read_of == ["v_b", "v_a"]
    assert (first.qids, first.questions, first.labels) == (["q3", "q1"], ["q3", "q1"], [1, 0])
    assert (second.qids, second.labels) == (["q0", "q4"], [1, 0])
    assert data.read([Draw(2)])[0].labels == [IGNORE_INDEX]  # "?" is outside the vocabulary
    assert dataset(clips=Frames())[0].clips.shape == (1, 3, 2, 2)


def test_random_frames_depend_on_seed_epoch_and_first_question():
    def drawn(seed, *draws):
        return [sample.frames[0, 0, 0, 0] for sample in dataset(seed).read(draws)]

    alone = drawn(0, Draw(0, 5)) + drawn(0, Draw(1, 5))
    assert drawn(0, Draw(1, 5), Draw(0, 5), Draw(2, 5)) == alone[::-1]
    others = [drawn(1, Draw(0, 5), Draw(1, 5)), drawn(0, Draw(0, 6), Draw(1, 6)), drawn(0, Draw(2, 5), Draw(3, 5))]
    assert alone not in others
