from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.samplers import EvalBatchSampler, TrainBatchSampler
from datasets.errors import InputError

codes = st.lists(st.integers(0, 9), min_size=1, max_size=120).map(lambda videos: np.array(videos, np.int32))
batch_sizes, group_sizes, ranks = (st.integers(1, most) for most in (20, 12, 5))


def indices(batches):
    return [[draw.index for draw in batch] for batch in batches]


@given(codes=codes, size=batch_sizes, k=group_sizes, num_ranks=ranks, epoch=st.integers(0, 3), skip=st.integers(0, 200))
def test_training_uses_every_question_once(codes, size, k, num_ranks, epoch, skip):
    if len(codes) < num_ranks:
        with pytest.raises(InputError, match=rf"^{len(codes)} training questions .* {num_ranks} processes"):
            TrainBatchSampler(codes, size, k, 0, 0, num_ranks)
        return
    samplers = [TrainBatchSampler(codes, size, k, 0, rank, num_ranks) for rank in range(num_ranks)]
    per_rank = [indices(sampler.batches(epoch)) for sampler in samplers]
    assert {len(batches) for batches in per_rank} == {len(samplers[0])}  # as many on every rank
    assert sorted(chain(*chain(*per_rank))) == list(range(len(codes)))
    for batches in per_rank:
        assert all(1 <= len(batch) <= (size if num_ranks == 1 else max(size, 2)) for batch in batches)
        assert all(len(batch) == size for batch in batches[:-2])
        for batch in batches:  # the questions of a video are adjacent, and so are videos with equally many
            assert 1 + (np.diff(codes[batch]) != 0).sum() == len(set(codes[batch]))
            assert (np.diff(np.bincount(codes[batch])[codes[batch]]) <= 0).all()
    assert all(draw.epoch == epoch for draw in next(samplers[0].batches(epoch)))
    assert indices(samplers[0].batches(epoch, skip)) == per_rank[0][skip:]


@given(codes=codes, size=batch_sizes, num_ranks=ranks)
def test_inference_uses_every_question_once_and_cuts_no_video_without_need(codes, size, num_ranks):
    if len(codes) < num_ranks:
        with pytest.raises(InputError, match=rf"^{len(codes)} questions .* {num_ranks} processes"):
            EvalBatchSampler(codes, size, 0, num_ranks)
        return
    samplers = [EvalBatchSampler(codes, size, rank, num_ranks) for rank in range(num_ranks)]
    per_rank = [indices(sampler.batches()) for sampler in samplers]
    assert [len(sampler) for sampler in samplers] == [len(batches) for batches in per_rank]
    batches = list(chain(*per_rank))
    assert list(chain(*batches)) == np.argsort(codes, kind="stable").tolist()  # videos in order, questions in order
    videos = [video for batch in batches for video in set(codes[batch].tolist())]
    largest = np.bincount(codes).max()
    assert all(per_rank) and all(batches)
    assert largest * num_ranks > len(codes) or len(videos) == len(set(videos))
    assert all(len(batch) <= size or len(set(codes[batch])) == 1 for batch in batches)
    assert all(abs(sum(map(len, own)) - len(codes) / num_ranks) <= largest for own in per_rank)


def test_questions_of_a_video_meet():
    codes = np.repeat(np.arange(50), 10)  # 10 questions per video: a group of 8, and 2 left over
    sampler = TrainBatchSampler(codes, 16, questions_per_video=8)
    videos_a_batch = [len(set(codes[batch])) for batch in indices(sampler.batches(0))]
    assert np.mean(videos_a_batch) < 4  # 3.3 of 16 questions; chance would give 14
    assert sum(len(set(codes[group])) == 1 for group in sampler.order(0)[:496].reshape(-1, 8)) >= 50


def test_what_is_left_over_of_the_videos_meets_in_another_order_every_epoch():
    """Three questions per video, two at a time: the odd ones are paired, and one of them ends the epoch alone."""
    codes = np.repeat(np.arange(3, dtype=np.int32), 3)
    sampler = TrainBatchSampler(codes, batch_size=2, questions_per_video=2)
    assert {codes[sampler.order(epoch)[-1]] for epoch in range(30)} == {0, 1, 2}
    assert (TrainBatchSampler(np.arange(20), 2, seed=1).order(4) != TrainBatchSampler(np.arange(20), 2).order(4)).any()


def test_one_question_per_video_is_a_plain_shuffle():
    codes = np.repeat(np.arange(3), 2)
    orders = np.array([TrainBatchSampler(codes, 4).order(epoch) for epoch in range(3000)])
    assert (codes[orders[:, :-1]] == codes[orders[:, 1:]]).mean() == pytest.approx(1 / 5, abs=0.02)
