"""Samplers of batches: the questions of each batch of each process.

An order is a pure function of its arguments: every process computes the same one and takes its own part, and a run that
starts again in the middle of an epoch goes on where it was.
"""

from collections.abc import Iterator

import numpy as np

from datasets.errors import InputError
from datasets.qa import Draw


class TrainBatchSampler:
    """Batches for training: every question once per epoch, in random order, some of one video together.

    The questions of each video are shuffled and cut into groups of `questions_per_video`; what is left over of each
    video is joined, videos in random order, and cut likewise. Groups are shuffled and laid end to end, so that a batch
    of a multiple of `questions_per_video` splits none. With 1 this is a plain shuffle of all questions.

    Every rank gets the same number of batches, as the exchange of gradients needs, and none is empty. All are full but
    those at the end of the epoch, which share what is left. (With a batch size of 1 and several ranks, this can be two
    questions for some of them.)
    """

    def __init__(
        self,
        video_codes: np.ndarray,
        batch_size: int,
        questions_per_video: int = 1,
        seed: int = 0,
        rank: int = 0,
        num_ranks: int = 1,
    ):
        """
        Args:
            video_codes: int [N], the video of each question.
            batch_size: questions per batch of one rank.
            questions_per_video: questions of one video to bring together; more than `batch_size` means `batch_size`.

        Raises:
            InputError: fewer questions than ranks.
        """
        if len(video_codes) < num_ranks:
            raise InputError(f"{len(video_codes)} training questions are too few for {num_ranks} processes: use fewer")
        self.video_codes = video_codes
        self.batch_size = batch_size
        self.group_size = min(questions_per_video, batch_size)
        self.seed = seed
        self.rank = rank
        self.num_ranks = num_ranks

    @property
    def fingerprint(self) -> dict[str, int]:
        """All that the order depends on: another value, another order."""
        return {
            "training questions": len(self.video_codes),
            "per_gpu_batchsize": self.batch_size,
            "questions_per_video": self.group_size,
            "processes": self.num_ranks,
            "seed": self.seed,
        }

    def __len__(self) -> int:
        """Batches per epoch of one rank."""
        rounds, left_over = divmod(len(self.video_codes), self.batch_size * self.num_ranks)
        return rounds + (left_over > 0 and self.batch_size > 1)

    def batches(self, epoch: int, skip: int = 0) -> Iterator[list[Draw]]:
        """The batches of this rank, without the first `skip`; in each, the questions of a video are adjacent."""
        order = self.order(epoch)
        bounds = self._bounds()
        for batch in range(skip, len(self)):
            place = batch * self.num_ranks + self.rank
            questions = order[bounds[place] : bounds[place + 1]]
            yield [Draw(index, epoch) for index in _by_video(questions, self.video_codes[questions]).tolist()]

    def order(self, epoch: int) -> np.ndarray:
        """All questions in the order of this epoch, over all ranks. int64 [N]."""
        random = np.random.default_rng((self.seed, epoch))
        size = self.group_size
        shuffled = random.permutation(len(self.video_codes))
        # A stable sort of a shuffle: by video, and the questions of each video still in random order.
        questions = shuffled[np.argsort(self.video_codes[shuffled], kind="stable")]
        videos = self.video_codes[questions]
        _, starts, counts = np.unique(videos, return_index=True, return_counts=True)
        place = np.arange(len(questions)) - np.repeat(starts, counts)  # of a question among those of its video
        in_group = place < np.repeat(counts - counts % size, counts)
        left_over = questions[~in_group]
        video_order = random.permutation(self.video_codes.max() + 1)
        left_over = left_over[np.argsort(video_order[self.video_codes[left_over]], kind="stable")]
        # What fills no group even so goes last, so that it shifts no group across the bounds of a batch.
        full = len(left_over) - len(left_over) % size
        groups = np.concatenate([questions[in_group], left_over[:full]]).reshape(-1, size)
        return np.concatenate([random.permutation(groups).ravel(), left_over[full:]])

    def _bounds(self) -> np.ndarray:
        """Bounds of the batches of all ranks in the order, batch by batch and rank by rank."""
        num_batches = len(self) * self.num_ranks
        left_over = len(self.video_codes) % (self.batch_size * self.num_ranks)
        # The last round of batches shares what is left; with the one before it, if that is not one question per rank.
        sharing = self.num_ranks * (2 if 0 < left_over < self.num_ranks and self.batch_size > 1 else 1)
        full = np.arange(num_batches - sharing) * self.batch_size
        start = len(full) * self.batch_size
        shares = np.arange(sharing + 1) * (len(self.video_codes) - start) // sharing
        return np.concatenate([full, start + shares])


class EvalBatchSampler:
    """Batches for validation and test: whole videos in order, every question once, whatever the number of ranks.

    A batch holds as many whole videos as `batch_size` questions allow, at least one. Ranks get consecutive videos, cut
    so that their numbers of questions differ as little as whole videos allow. If that left a rank without a question,
    which trainers do not allow, videos are cut as well: a video's questions may then be of two ranks.
    """

    def __init__(self, video_codes: np.ndarray, batch_size: int, rank: int = 0, num_ranks: int = 1):
        """Arguments as of `TrainBatchSampler`. Raises InputError if there are fewer questions than ranks."""
        total = len(video_codes)
        if total < num_ranks:
            raise InputError(
                f"{total} questions to validate or test are too few for {num_ranks} processes: use fewer, such as "
                f"num_gpus={max(total, 1)}"
            )
        questions = np.argsort(video_codes, kind="stable")
        counts = np.unique(video_codes, return_counts=True)[1]
        ends = np.cumsum(counts)
        # A video belongs to the rank in whose share of all questions its middle lies.
        owner = (2 * ends - counts) * num_ranks // (2 * ends[-1])
        bounds = np.searchsorted(np.repeat(owner, counts), np.arange(num_ranks + 1))
        if (np.diff(bounds) == 0).any():
            bounds = np.arange(num_ranks + 1) * total // num_ranks
        self._batches: list[np.ndarray] = []
        start, stop = bounds[rank : rank + 2].tolist()
        end = start
        for video_end in [*ends[(start < ends) & (ends < stop)].tolist(), stop]:
            if end > start and video_end - start > batch_size:
                self._batches.append(questions[start:end])
                start = end
            end = video_end
        self._batches.append(questions[start:end])

    @property
    def fingerprint(self) -> dict[str, int]:
        return {}

    def __len__(self) -> int:
        return len(self._batches)

    def batches(self, epoch: int = 0, skip: int = 0) -> Iterator[list[Draw]]:
        """The batches of this rank, the same in every epoch."""
        for questions in self._batches[skip:]:
            yield [Draw(index, epoch) for index in questions.tolist()]


def _by_video(questions: np.ndarray, videos: np.ndarray) -> np.ndarray:
    """The questions with those of one video adjacent, and videos with equally many, whose attention is one call."""
    _, first, inverse, counts = np.unique(videos, return_index=True, return_inverse=True, return_counts=True)
    return questions[np.lexsort((first[inverse], -counts[inverse]))]
