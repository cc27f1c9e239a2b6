"""Question answering: what is on disk about a question and its video, as one sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch.utils.data import Dataset

from .annotations import QuestionTable
from .clips import ClipFeatures
from .errors import InputError, first_few
from .frames import FrameReader

IGNORE_INDEX = -100  # label of an answer outside the vocabulary; what PyTorch's losses ignore


@dataclass(frozen=True, slots=True)
class Draw:
    """A question of an epoch, as samplers ask for it."""

    index: int
    epoch: int = 0


@dataclass
class VideoSample:
    """A video, and Q questions about it."""

    frames: np.ndarray  # uint8 [F, 3, H, W], RGB
    clips: np.ndarray | None  # float32 [S, features], or None without a temporal stream
    indices: list[int]  # places of the questions in their split
    qids: list[str]  # Q texts, as the next two
    questions: list[str]
    answers: list[str]
    labels: list[int]  # Q indices into the vocabulary or the choices, IGNORE_INDEX for an answer outside
    video_id: str
    other: "VideoSample | None" = None  # another video, without questions, where one is wanted
    # Q lists of the answers that a question offers; empty where questions are open
    choices: list[list[str]] = field(default_factory=list)


class QADataset(Dataset):
    """The questions of one split, with the frames and clip features of their videos.

    Instances can be sent to worker processes.
    """

    def __init__(
        self,
        table: QuestionTable,
        frames: FrameReader,
        clips: ClipFeatures | None,
        vocabulary: Sequence[str] | None,
        frame_directory: str = "{video_id}",
        seed: int | None = None,
        others: Mapping[str, str] | None = None,
    ):
        """
        Args:
            clips: reads its clip features; None: not wanted.
            vocabulary: the answers, in order of their index; None: each question offers its own.
            frame_directory: the folder of a video's frames, with `{video_id}` to fill in.
            seed: draws frames and features at random, as in training; None takes the middle ones of the spans.
            others: video -> another one that its samples bring along.
        """
        self.table = table
        self.frames = frames
        self.clips = clips
        self.frame_directory = frame_directory
        self.seed = seed
        self.others = others or {}
        self._label = None if vocabulary is None else {answer: index for index, answer in enumerate(vocabulary)}

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> VideoSample:
        """One question and its video. Raises InputError as `read`."""
        return self.read([Draw(index)])[0]

    def read(self, draws: Sequence[Draw]) -> list[VideoSample]:
        """Reads the questions asked for, and each of their videos once.

        The random frames and features of a video depend on the seed, the epoch and the first of its questions alone, so
        they are the same in whatever process and after whatever else they are read.

        Returns:
            one sample per video, in order of first appearance; its questions in the order asked for.

        Raises:
            InputError: frames or features that are missing or damaged; names them.
        """
        questions_of: dict[int, list[Draw]] = {}
        for draw in draws:
            questions_of.setdefault(self.table.video(draw.index), []).append(draw)
        return [self._read_video(self.table.video_ids[video], draws) for video, draws in questions_of.items()]

    def check_videos(self, split: str) -> None:
        """Checks that all videos are on disk, and are what they should be as far as that is known without reading them.

        Raises:
            InputError: videos of the split (called by that name) without frames or features, or with some that cannot
                be used, their number and the first few; or the folder of frames or the file of features is missing as a
                whole.
        """
        video_of = {self._directory(video_id): video_id for video_id in self.table.video_ids}
        missing = [("frames", self.frames.root, [video_of[name] for name in self.frames.missing(video_of)])]
        if self.clips is not None:
            missing.append(("clip features", self.clips.path, self.clips.missing(self.table.video_ids)))
        for what, where, video_ids in missing:
            if video_ids:
                raise InputError(
                    f"{len(video_ids)} of the {len(video_of)} videos of {split} have no {what} in {where} "
                    f"({first_few(video_ids)}); "
                    "extract them, or drop their questions: preproc/check_data.py lists all that is missing"
                )
        of_frames = {video_of[name]: problem for name, problem in self.frames.problems(video_of).items()}
        check_usable(of_frames, len(video_of), split, "frames")
        if self.clips is not None:
            check_usable(self.clips.problems(self.table.video_ids), len(video_of), split, "clip features")

    def _read_video(self, video_id: str, draws: Sequence[Draw]) -> VideoSample:
        random = None
        if self.seed is not None:
            random = np.random.default_rng((self.seed, draws[0].epoch, draws[0].index))
        indices = [draw.index for draw in draws]
        answers = [self.table.answer(index) for index in indices]
        choices = [self.table.choices(index) for index in indices]
        return VideoSample(
            frames=self.frames.read(self._directory(video_id), random),
            clips=None if self.clips is None else self.clips.read(video_id, random),
            indices=indices,
            qids=[self.table.qid(index) for index in indices],
            questions=[self.table.question(index) for index in indices],
            answers=answers,
            labels=[self._label_of(answer, offered) for answer, offered in zip(answers, choices, strict=True)],
            video_id=video_id,
            other=self._read_video(self.others[video_id], ()) if draws and video_id in self.others else None,
            choices=choices,
        )

    def _label_of(self, answer: str, choices: list[str]) -> int:
        if self._label is not None:
            return self._label.get(answer, IGNORE_INDEX)
        return choices.index(answer) if answer else IGNORE_INDEX

    def _directory(self, video_id: str) -> str:
        return self.frame_directory.replace("{video_id}", video_id)


def check_usable(problems: Mapping[str, str], number: int, split: str, what: str) -> None:
    """Raises InputError unless no video has a problem; tells how many have, the first few, and that of the first.

    Args:
        problems: video id -> what is wrong with it.
    """
    if problems:
        raise InputError(
            f"{len(problems)} of the {number} videos of {split} have {what} that cannot be used "
            f"({first_few(list(problems))}); {next(iter(problems.values()))}; preproc/check_data.py lists all"
        )
