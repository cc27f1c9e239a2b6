"""Every question exactly once, on any number of ranks; orders by hand and as laws."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.samplers import EvalBatchSampler, TrainBatchSampler
from datasets.errors import InputError

codes = st.lists(st.integers(0, 9), min_size=1, max_size=120).map(lambda videos: np.array(videos, np.int32))
batch_sizes = st.integers(1, 20)
group_sizes = st.integers(1, 12)
ranks = st.integers(1, 5)


def indices(batches):
    return [[draw.index for draw in batch] for batch in batches]


def runs(values) -> int:
    """Into how many stretches of equal values a list falls."""
    return 1 + int((np.diff(values) != 0).sum())


@given(codes=codes, size=batch_sizes, k=group_sizes, num_ranks=ranks, epoch=st.integers(0, 3))
def test_training_uses_every_question_once(codes, size, k, num_ranks, epoch):
    if len(codes) < num_ranks:
        with pytest.raises(InputError, match=r"questions are too few for \d processes: use fewer"):
            TrainBatchSampler(codes, size, k, 0, 0, num_ranks)
        return
    samplers = [TrainBatchSampler(codes, size, k, 0, rank, num_ranks) for rank in range(num_ranks)]
    per_rank = [indices(sampler.batches(epoch)) for sampler in samplers]
    assert {len(batches) for batches in per_rank} == {len(samplers[0])}  # as many on every rank
    assert sorted(chain(*chain(*per_rank))) == list(range(len(codes)))
    for batches in per_rank:
        assert all(1 <= len(batch) <= max(size, 2) for batch in batches)
        assert all(len(batch) == size for batch in batches[:-2])
        assert num_ranks > 1 or all(len(batch) <= size for batch in batches)
        for batch in batches:  # the questions of a video are adjacent
            assert runs(codes[batch]) == len(set(codes[batch]))
    assert all(draw.epoch == epoch for draw in next(samplers[0].batches(epoch)))


@given(codes=codes, size=batch_sizes, k=group_sizes, skip=st.integers(0, 200))
def test_training_from_the_middle_of_an_epoch(codes, size, k, skip):
    sampler = TrainBatchSampler(codes, size, k)
    assert indices(sampler.batches(2, skip)) == indices(sampler.batches(2))[skip:]


@given(codes=codes, size=batch_sizes, num_ranks=ranks)
def test_inference_uses_every_question_once_and_cuts_no_video_without_need(codes, size, num_ranks):
    if len(codes) < num_ranks:
        with pytest.raises(InputError, match=f"{len(codes)} questions to validate or test are too few for {num_ranks}"):
            EvalBatchSampler(codes, size, 0, num_ranks)
        return
    samplers = [EvalBatchSampler(codes, size, rank, num_ranks) for rank in range(num_ranks)]
    per_rank = [indices(sampler.batches()) for sampler in samplers]
    assert [len(sampler) for sampler in samplers] == [len(batches) for batches in per_rank]
    batches = list(chain(*per_rank))
    assert list(chain(*batches)) == np.argsort(codes, kind="stable").tolist()  # videos in order, questions in order
    videos = [video for batch in batches for video in set(codes[batch].tolist())]
    assert all(per_rank)
    # Where none is as large as a rank's share, no rank is left without one.
    if np.bincount(codes).max() * num_ranks <= len(codes):
        assert len(videos) == len(set(videos))
    assert all(len(batch) <= size or len(set(codes[batch])) == 1 for batch in batches)


@given(codes=codes, num_ranks=ranks)
def test_inference_is_balanced_as_far_as_whole_videos_allow(codes, num_ranks):
    num_ranks = min(num_ranks, len(codes))
    loads = [sum(map(len, indices(EvalBatchSampler(codes, 4, rank, num_ranks).batches()))) for rank in range(num_ranks)]
    largest = np.bincount(codes).max()
    assert all(abs(load - len(codes) / num_ranks) <= largest for load in loads)


def test_inference_by_hand():
    codes = np.array([0, 1, 0, 2, 2, 2, 2, 2, 3, 4])
    # videos of 2, 1, 5, 1, 1 questions; at most 3 a batch
    assert indices(EvalBatchSampler(codes, 3).batches()) == [[0, 2, 1], [3, 4, 5, 6, 7], [8, 9]]
    # two ranks: middles of the videos at 1, 2.5, 5.5, 8.5, 9.5 of 10 questions
    assert indices(EvalBatchSampler(codes, 3, 0, 2).batches()) == [[0, 2, 1]]
    assert indices(EvalBatchSampler(codes, 3, 1, 2).batches()) == [[3, 4, 5, 6, 7], [8, 9]]
    assert indices(EvalBatchSampler(codes, 3, 0, 2).batches(skip=1)) == []


def test_a_rank_without_a_video_of_its_own_takes_part_of_one():
    codes = np.zeros(6, int)
    assert [indices(EvalBatchSampler(codes, 9, rank, 2).batches()) for rank in range(2)] == [[[0, 1, 2]], [[3, 4, 5]]]
    assert [indices(EvalBatchSampler(codes[:2], 9, rank, 2).batches()) for rank in range(2)] == [[[0]], [[1]]]


def test_questions_of_a_video_meet():
    codes = np.repeat(np.arange(50), 10)  # 10 questions per video: a group of 8, and 2 left over
    sampler = TrainBatchSampler(codes, 16, questions_per_video=8)
    videos_a_batch = [len(set(codes[batch])) for batch in indices(sampler.batches(0))]
    assert np.mean(videos_a_batch) < 4  # 3.3 of 16 questions; chance would give 14
    groups = sampler.order(0)[:496].reshape(-1, 8)
    assert sum(len(set(codes[group])) == 1 for group in groups) >= 50


def test_one_question_a_video_is_a_plain_shuffle():
    """Where a question stands, and which questions follow each other, is as in a random permutation."""
    codes = np.repeat(np.arange(3), 2)
    orders = np.array([TrainBatchSampler(codes, 4).order(epoch) for epoch in range(3000)])
    for place in range(6):
        counts = np.bincount(orders[:, place], minlength=6)
        assert abs(counts - 500).max() < 110  # 5 standard deviations
    same_video_follows = (codes[orders[:, :-1]] == codes[orders[:, 1:]]).mean()
    assert same_video_follows == pytest.approx(1 / 5, abs=0.02)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_no_question_is_favoured(k):
    """Left over questions stand where others do, but for the few that fill no group at the end."""
    codes = np.repeat(np.arange(4), (1, 2, 5, 8))
    places = np.array([np.argsort(TrainBatchSampler(codes, 16, k).order(epoch)) for epoch in range(2000)])
    full = k * (16 // k)
    for question in range(16):
        within = places[:, question][places[:, question] < full]
        counts = np.bincount(within // k, minlength=16 // k)
        assert abs(counts - counts.mean()).max() < 6 * np.sqrt(counts.mean())


def test_order_depends_on_seed_and_epoch_alone():
    codes = np.repeat(np.arange(20), 3)
    order = TrainBatchSampler(codes, 8, 2, seed=1).order(4).tolist()
    assert TrainBatchSampler(codes, 8, 2, seed=1, rank=1, num_ranks=3).order(4).tolist() == order
    assert TrainBatchSampler(codes, 8, 2, seed=1).order(5).tolist() != order
    assert TrainBatchSampler(codes, 8, 2, seed=2).order(4).tolist() != order


def test_more_questions_a_video_than_fit_into_a_batch():
    codes = np.repeat(np.arange(6), 4)
    assert indices(TrainBatchSampler(codes, 2, 100).batches(0)) == indices(TrainBatchSampler(codes, 2, 2).batches(0))


def test_end_of_an_epoch_by_hand():
    sizes = [
        [len(batch) for batch in TrainBatchSampler(np.arange(count), 4, 1, 0, rank, 3).batches(0)]
        for count in (24, 25, 27, 35)
        for rank in range(3)
    ]
    assert sizes[0:3] == [[4, 4]] * 3
    assert sizes[3:6] == [[4, 2, 2], [4, 2, 2], [4, 2, 3]]  # one question left for three ranks: two rounds share 13
    assert sizes[6:9] == [[4, 4, 1]] * 3
    assert sizes[9:12] == [[4, 4, 3], [4, 4, 4], [4, 4, 4]]
    singles = [
        [len(batch) for batch in TrainBatchSampler(np.arange(5), 1, 1, 0, rank, 2).batches(0)] for rank in (0, 1)
    ]
    assert singles == [[1, 1], [1, 2]]


def test_what_is_left_over_of_the_videos_meets_in_another_order_every_epoch():
    """Three questions per video, two at a time: the odd ones are paired, and one of them ends the epoch alone."""
    codes = np.repeat(np.arange(3, dtype=np.int32), 3)
    sampler = TrainBatchSampler(codes, batch_size=2, questions_per_video=2)
    assert {codes[sampler.order(epoch)[-1]] for epoch in range(30)} == {0, 1, 2}
