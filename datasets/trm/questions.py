"""The question maker of Temporal Referring Modeling (paper, section 4): questions about the order of captioned clips.

`num_clips` captioned clips are joined end to end, and one question is asked about them, of a type drawn at random:

| type | question | answer | choices |
|---|---|---|---|
| 0 | what happened | the caption of the one clip that is shown | it and captions of other clips |
| 1 | what happened at the beginning | the first caption | the captions of all clips |
| 2 | what happened at the end | the last caption | the captions of all clips |
| 3 | what happened after X | the caption that follows X | all captions, and one from outside instead of X |
| 4 | what happened before X | the caption that precedes X | all captions, and one from outside instead of X |

There are always `num_clips` choices, in random order. From type 1 on the wrong ones happen in the same video: only
their place in time tells them from the right one. No two choices read the same, and X is the caption of one clip only.
"""

from dataclasses import dataclass

import numpy as np

from ..captions import CaptionTable
from ..errors import InputError
from ..sampling import sample_indices

QUESTION_TYPES = ("what happened", "at the beginning", "at the end", "after", "before")

# How often a clip that clashes with one already drawn is drawn again before all that do not are listed, …
_BLIND_DRAWS = 16
# … and how often everything is drawn again when there are none.
_RESTARTS = 100


@dataclass(frozen=True)
class ReferringQuestion:
    """One question, in words."""

    type: int  # index into QUESTION_TYPES
    text: str
    choices: tuple[str, ...]  # `num_clips` captions, no two of which read the same
    label: int  # index of the right one
    # the clips that are shown, in order, by their place in the caption table: `num_clips`, or one for type 0
    videos: tuple[int, ...]
    captions: tuple[str, ...]  # what happens in each of them


def draw_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random numbers of one draw: a function of these three alone, whoever asks and in whatever order."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(epoch, index))))


class QuestionMaker:
    """Makes questions from a captioned collection.

    Args:
        num_clips: clips joined, and choices offered; at least 2.
        name: of the collection, for messages.

    Raises:
        InputError: too few videos, or too few captions that differ, for one question.
    """

    def __init__(self, captions: CaptionTable, num_clips: int, name: str):
        self.captions, self.num_clips, self.name = captions, num_clips, name
        # One more than is shown: the caption from outside.
        if min(len(captions), captions.num_meanings) <= num_clips:
            raise InputError(
                f"{name}: {len(captions)} videos with {captions.num_meanings} different captions are too few for "
                f"num_clips={num_clips}, which needs {num_clips + 1} of each; lower num_clips"
            )

    def ask(self, video: int, random: np.random.Generator) -> ReferringQuestion:
        """A question whose clips include `video`; a pure function of the generator's state."""
        kind = int(random.integers(len(QUESTION_TYPES)))
        drawn = self._draw_clips(video, self.num_clips + (kind >= 3), random)
        texts = [self.captions.text(caption) for _, caption in drawn]
        if kind == 0:
            return self._question(kind, "what happened", texts, texts[0], drawn[:1], random)
        order = random.permutation(self.num_clips)
        shown = [drawn[place] for place in order]
        told = [texts[place] for place in order]
        if kind == 1:
            return self._question(kind, "what happened at the beginning", told, told[0], shown, random)
        if kind == 2:
            return self._question(kind, "what happened at the end", told, told[-1], shown, random)
        earlier = int(random.integers(self.num_clips - 1))
        named, answer = (earlier, earlier + 1) if kind == 3 else (earlier + 1, earlier)
        choices = [*told[:named], texts[-1], *told[named + 1 :]]
        text = f"what happened {QUESTION_TYPES[kind]} {told[named].rstrip(' .')}"
        return self._question(kind, text, choices, told[answer], shown, random)

    def _question(
        self,
        kind: int,
        text: str,
        choices: list[str],
        answer: str,
        shown: list[tuple[int, int]],
        random: np.random.Generator,
    ) -> ReferringQuestion:
        choices = [choices[place] for place in random.permutation(len(choices))]
        videos = tuple(video for video, _ in shown)
        captions = tuple(self.captions.text(caption) for _, caption in shown)
        return ReferringQuestion(kind, text, tuple(choices), choices.index(answer), videos, captions)

    def _draw_clips(self, video: int, count: int, random: np.random.Generator) -> list[tuple[int, int]]:
        """`count` pairs (video, caption), the first of `video`; no video twice, no two captions that read the same."""
        for _ in range(_RESTARTS):
            drawn = [(video, self._draw_caption(video, random))]
            while len(drawn) < count and (clip := self._draw_another(drawn, random)):
                drawn.append(clip)
            if len(drawn) == count:
                return drawn
        raise InputError(
            f"{self.name}: found no {count} videos with captions that all differ for num_clips={self.num_clips}; "
            "lower num_clips"
        )

    def _draw_caption(self, video: int, random: np.random.Generator) -> int:
        return int(random.integers(self.captions.starts[video], self.captions.starts[video + 1]))

    def _draw_another(self, drawn: list[tuple[int, int]], random: np.random.Generator) -> tuple[int, int] | None:
        """A clip that clashes with none of those drawn, or None if there is none."""
        meanings, starts = self.captions.meanings, self.captions.starts
        videos = {video for video, _ in drawn}
        told = {int(meanings[caption]) for _, caption in drawn}
        for _ in range(_BLIND_DRAWS):
            video = int(random.integers(len(self.captions)))
            caption = self._draw_caption(video, random)
            if video not in videos and meanings[caption] not in told:
                return video, caption
        possible = ~np.isin(meanings, list(told))
        for video in videos:
            possible[starts[video] : starts[video + 1]] = False
        candidates = possible.nonzero()[0]
        if not len(candidates):
            return None
        caption = int(random.choice(candidates))
        return int(np.searchsorted(starts, caption, side="right")) - 1, caption


def scaled_boundaries(lengths: np.ndarray, most: int) -> np.ndarray:
    """Computes where each clip ends when their joined features are sampled down to `most`.

    Args:
        lengths: int [clips], features of each clip, at least 1.
        most: how many features are kept, at least one for each clip.

    Returns:
        int64 [clips + 1] from 0 to min(sum of lengths, most), strictly increasing: no clip is empty, and none has more
        features than it had. In proportion to the lengths as far as that allows.
    """
    assert most >= len(lengths), f"{most} features are too few for {len(lengths)} clips"
    ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    if ends[-1] <= most:
        return ends
    places = np.arange(len(ends))
    ends = ends * most // ends[-1]
    # At least one feature each: ends - places must not fall from clip to clip, and the clips to come need room, too.
    ends = np.maximum.accumulate(ends - places) + places
    return np.minimum(ends, most - places[::-1])


def join_clips(clips: list[np.ndarray], most: int, random: np.random.Generator | None) -> tuple[np.ndarray, np.ndarray]:
    """Joins clips end to end, sampled down to at most `most` features.

    Args:
        clips: float [features, width] each, at least one feature.
        most: at least as many as there are clips.
        random: draws which features are kept, as in training; without it the middle ones of equal spans.

    Returns:
        float [features, width], and int64 [clips]: how many features of each clip there are, at least 1.
    """
    boundaries = scaled_boundaries(np.array([len(clip) for clip in clips]), most)
    kept = np.diff(boundaries)
    sampled = [
        clip if len(clip) == wanted else clip[sample_indices(len(clip), wanted, random)]
        for clip, wanted in zip(clips, kept.tolist(), strict=True)
    ]
    return np.concatenate(sampled), kept
