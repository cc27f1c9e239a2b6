"""The batch of question answering: videos, and questions that point at them.

    V videos · F frames per video · S clip features (padded) · Q questions · L tokens (padded) · H, W pixels

    frames      uint8 [V, F, 3, H, W]   RGB; normalised by the model, on its device
    clips       float32 [V, S, features]   zeros after a video's last clip
    clip_mask   bool [V, S]   True = a clip, False = padding
    questions   `Questions`, those about one video adjacent, in the order of the videos
    labels      int64 [Q]   index of the answer, IGNORE_INDEX outside the vocabulary
    indices     list of Q ints   place of each question in its split
    qids, question_texts, answer_texts   lists of Q texts, to write down and to show

Without a temporal stream there are no `clips` and no `clip_mask`. Multiple choice (C choices a question) adds

    choices     int64 [Q, C]   index of each choice among the A distinct texts of the batch
    answer_ids, answer_mask, answer_lengths   int64 [A, L] and a list of A ints: these texts
    choice_texts   Q lists of C texts, to write down and to show

and its labels are indices of choices.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

from datasets.qa import VideoSample

from .tokenization import TextTokenizer

Batch = dict[str, Any]


@dataclass
class Questions:
    """Questions about V videos: those about one video are adjacent, in the order of the videos."""

    ids: Tensor  # int64 [Q, L]
    mask: Tensor  # int64 [Q, L], 1 = a token, 0 = padding
    # tokens of each question. On the host, like `per_video`: a step that read them from a GPU would wait
    lengths: list[int]
    per_video: list[int]  # number of questions about each of the V videos; they sum to Q

    @classmethod
    def encode(
        cls, tokenizer: TextTokenizer, texts: Sequence[str], per_video: list[int], max_length: int | None = None
    ) -> "Questions":
        """Tokenizes Q texts; see `TextTokenizer.encode`."""
        ids, mask = tokenizer.encode(texts, max_length)
        return cls(ids, mask, mask.sum(1).tolist(), per_video)

    def __len__(self) -> int:
        return len(self.ids)

    def video(self, question: int) -> int:
        """Index of the video that a question asks about."""
        return int(np.searchsorted(np.cumsum(self.per_video), question, side="right"))

    def pin_memory(self) -> "Questions":
        """Called by a DataLoader that pins its batches; the way to the device is Lightning's, field by field."""
        return replace(self, ids=self.ids.pin_memory(), mask=self.mask.pin_memory())


class QACollate:
    """Joins samples to a batch, as described above. Can be sent to worker processes."""

    def __init__(self, tokenizer: TextTokenizer, max_text_len: int | None = None):
        """
        Args:
            max_text_len: tokens per question at most; None: not cut (but to BERT's 512 positions).
        """
        self.tokenizer = tokenizer
        self.max_text_len = max_text_len

    def __call__(self, samples: Sequence[VideoSample]) -> Batch:
        texts = [question for sample in samples for question in sample.questions]
        per_video = [len(sample.qids) for sample in samples]
        batch = {
            "frames": default_collate([sample.frames for sample in samples]),  # in a worker: into shared memory
            "questions": Questions.encode(self.tokenizer, texts, per_video, self.max_text_len),
            "labels": torch.tensor([label for sample in samples for label in sample.labels]),
            "indices": [index for sample in samples for index in sample.indices],
            "qids": [qid for sample in samples for qid in sample.qids],
            "question_texts": texts,
            "answer_texts": [answer for sample in samples for answer in sample.answers],
        }
        if samples[0].clips is not None:
            batch["clips"], batch["clip_mask"] = pad_clips([sample.clips for sample in samples])
        return batch


class ChoiceCollate(QACollate):
    """Joins samples whose questions offer their own answers, of which equal ones are there once."""

    def __init__(self, tokenizer: TextTokenizer, max_text_len: int | None = None, max_answer_len: int | None = None):
        """
        Args:
            max_answer_len: tokens per choice at most.
        """
        super().__init__(tokenizer, max_text_len)
        self.max_answer_len = max_answer_len

    def __call__(self, samples: Sequence[VideoSample]) -> Batch:
        choices = [offered for sample in samples for offered in sample.choices]
        places: dict[str, int] = {}
        indices = [[places.setdefault(text, len(places)) for text in offered] for offered in choices]
        ids, mask = self.tokenizer.encode(list(places), self.max_answer_len)
        answers = {"answer_ids": ids, "answer_mask": mask, "answer_lengths": mask.sum(1).tolist()}
        return super().__call__(samples) | answers | {"choices": torch.tensor(indices), "choice_texts": choices}


def pad_clips(videos: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Joins clip features of different numbers.

    Args:
        videos: V arrays, float [clips, features].

    Returns:
        clips, clip_mask: float32 [V, S, features], zeros after a video's last clip; bool [V, S], True = a clip.
    """
    longest = max(map(len, videos))
    clips = torch.zeros(len(videos), longest, videos[0].shape[1])
    mask = torch.zeros(len(videos), longest, dtype=torch.bool)
    for row, features in enumerate(videos):
        clips[row, : len(features)] = torch.from_numpy(features)
        mask[row, : len(features)] = True
    return clips, mask
