"""Temporal referring: captioned collections and their clip features as samples, each a question and a joined video."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..clips import ClipFeatures
from ..qa import Draw
from .questions import QuestionMaker, ReferringQuestion, draw_generator, join_clips

# Videos whose features each process keeps in memory: all of a small collection, about 20 MB of a large one.
KEPT_VIDEOS = 1024


@dataclass(frozen=True)
class Collection:
    """A captioned collection, and how much of a dataset it makes up."""

    maker: QuestionMaker  # makes its questions
    clips: ClipFeatures  # reads its features, all of a video
    num_questions: int  # how many questions per epoch are about it


@dataclass(frozen=True)
class ReferringSample:
    """A question and the clips it is about, joined."""

    qid: str  # tells the question from all others of the run, for messages and predictions
    question: ReferringQuestion  # the question, its choices, and the captions of the clips
    clips: np.ndarray  # float32 [S, features]
    clip_lengths: np.ndarray  # int64 [N], how many of these each of the N clips has; at least 1, and S in all


class ReferringDataset:
    """Questions about captioned collections, as many of each as it says. Instances can be sent to worker processes.

    Each collection is gone through again and again, in an order that is shuffled once, over the ends of epochs: every
    video has its turn before any has a second one. What is asked in a turn depends on the seed, the number of the pass
    through the collection and the video's place in all collections alone. With as many questions per epoch as videos, a
    pass is an epoch.
    """

    def __init__(self, collections: Sequence[Collection], max_video_len: int, seed: int, training: bool):
        """
        Args:
            max_video_len: clip features of a joined video at most; at least one for each clip.
            training: draw features at random where there are too many; otherwise take the middle ones of the spans.
        """
        self.collections = list(collections)
        self.max_video_len = max_video_len
        self.seed = seed
        self.training = training
        self._kept: dict[tuple[int, int], np.ndarray] = {}
        self._ends = np.cumsum([collection.num_questions for collection in self.collections])
        sizes = [len(collection.maker.captions) for collection in self.collections]
        self._first_videos = np.cumsum([0, *sizes]).tolist()  # numbers the videos of all collections
        self._orders = [
            np.random.default_rng((seed, number)).permutation(len(collection.maker.captions))
            for number, collection in enumerate(self.collections)
        ]

    def __len__(self) -> int:
        """Questions per epoch."""
        return int(self._ends[-1])

    def read(self, draws: Sequence[Draw]) -> list[ReferringSample]:
        """The samples asked for. Raises InputError for features that are missing or damaged; names them."""
        return [self._read_one(draw) for draw in draws]

    def _read_one(self, draw: Draw) -> ReferringSample:
        number = int(np.searchsorted(self._ends, draw.index, side="right"))
        collection, order = self.collections[number], self._orders[number]
        first = int(self._ends[number]) - collection.num_questions
        turn = draw.epoch * collection.num_questions + draw.index - first
        through, place = divmod(turn, len(order))
        video = int(order[place])
        random = draw_generator(self.seed, through, self._first_videos[number] + video)
        question = collection.maker.ask(video, random)
        captions = collection.maker.captions
        clips = [self._read_features(number, shown) for shown in question.videos]
        joined, lengths = join_clips(clips, self.max_video_len, random if self.training else None)
        qid = f"{collection.maker.name}/{captions.video_id(video)}/{through}"
        return ReferringSample(qid, question, joined, lengths)

    def _read_features(self, number: int, video: int) -> np.ndarray:
        """All features of a video of the collection of this number."""
        features = self._kept.get((number, video))
        if features is None:
            collection = self.collections[number]
            features = collection.clips.read(collection.maker.captions.video_id(video))
            if len(self._kept) < KEPT_VIDEOS:
                self._kept[number, video] = features
        return features
