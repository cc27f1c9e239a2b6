import pickle

import h5py
import numpy as np
import pytest

from datasets.captions import CaptionTable
from datasets.clips import ClipFeatures
from datasets.qa import Draw
from datasets.trm.questions import QuestionMaker
from datasets.trm.samples import Collection, ReferringDataset

WIDTH = 3


@pytest.fixture
def collections(tmp_path):
    """Two collections of 7 and 5 videos. The features of video v of the c-th are all 10 c + v."""
    made = []
    for number, size in enumerate((7, 5)):
        path = tmp_path / f"{number}.h5"
        with h5py.File(path, "w") as file:
            for video in range(size):
                file[f"v{video}"] = np.full((1 + video % 4, WIDTH), 10 * number + video, np.float32)
        captions = CaptionTable({f"v{video}": [f"caption {number} {video}"] for video in range(size)})
        made.append(Collection(QuestionMaker(captions, 3, f"toy{number}"), ClipFeatures(path, WIDTH), size))
    return made


def make(collections, training=True, seed=0):
    return ReferringDataset(collections, 6, seed, training)


def test_features_stand_in_the_order_of_the_question(collections):
    for sample in make(collections).read([Draw(index, epoch) for epoch in range(5) for index in range(12)]):
        shown = np.repeat(sample.question.videos, sample.clip_lengths) + 10 * int(sample.qid.startswith("toy1"))
        assert len(sample.clips) <= 6 and sample.clips.tolist() == shown[:, None].repeat(WIDTH, 1).tolist()


def test_with_other_shares_every_video_has_its_turn_before_any_has_a_second(collections):
    wanted = [Collection(own.maker, own.clips, count) for own, count in zip(collections, (3, 9), strict=True)]
    qids = [s.qid for s in make(wanted).read([Draw(index, epoch) for epoch in range(7) for index in range(12)])]
    assert len(set(qids)) == len(qids) == 84
    for name, size, turns in (("toy0", 7, 21), ("toy1", 5, 63)):
        own = [qid for qid in qids if qid.startswith(name)]
        assert len(own) == turns
        assert {qid.rsplit("/", 1)[0] for qid in own[:size]} == {f"{name}/v{video}" for video in range(size)}


def test_a_draw_does_not_depend_on_what_was_read_before(collections):
    def told(samples):
        return [(sample.question, sample.qid, sample.clips.tolist()) for sample in samples]

    dataset, fresh = make(collections), pickle.loads(pickle.dumps(make(collections)))
    requests = [Draw(index, epoch) for epoch in range(2) for index in range(12)]
    found = told(dataset.read(requests))
    assert found == told(fresh.read(requests[::-1]))[::-1]
    other = {qid: question for question, qid, _ in told(make(collections, seed=1).read(requests))}
    assert sum(other[qid] != question for question, qid, _ in found) > 12
    assert sum(first[0] != second[0] for first, second in zip(found[:12], found[12:], strict=True)) > 6
