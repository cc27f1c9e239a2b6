"""The batch of question answering: videos, and questions that point at them.

    V videos · F frames a video · S clip features (padded) · Q questions · L tokens (padded) · H, W pixels

    frames              uint8 [V, F, 3, H, W]   RGB; normalised by the model, on its device
    clips               float32 [V, S, features]   zeros after a video's last clip
    clip_mask           bool [V, S]   True = a clip, False = padding
    question_ids        int64 [Q, L]
    question_mask       int64 [Q, L]   1 = a token, 0 = padding
    question_lengths    list of Q ints   tokens of each question; on the host, like questions_in_video
    video_index         int64 [Q]   the video a question asks about; non-decreasing: questions of a video are adjacent
    questions_in_video  list of V ints   how many ask about each video; on the host, so that no step waits for a device
    labels              int64 [Q]   index of the answer, IGNORE_INDEX outside the vocabulary
    qids                list of Q texts

Without a temporal stream there are no `clips` and no `clip_mask`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

from datasets.qa import VideoSample

from .tokenization import TextTokenizer

Batch = dict[str, Any]


class QACollate:
    """Joins samples to a batch, as described above. Can be sent to worker processes."""

    def __init__(self, tokenizer: TextTokenizer, max_text_len: int | None = None):
        """
        Args:
            tokenizer: encodes the questions.
            max_text_len: tokens a question at most; None: not cut (but to BERT's 512 positions).
        """
        self.tokenizer = tokenizer
        self.max_text_len = max_text_len

    def __call__(self, samples: Sequence[VideoSample]) -> Batch:
        counts = [len(sample.qids) for sample in samples]
        questions = [question for sample in samples for question in sample.questions]
        question_ids, question_mask = self.tokenizer.encode(questions, self.max_text_len)
        batch = {
            "frames": default_collate([sample.frames for sample in samples]),  # in a worker: into shared memory
            "question_ids": question_ids,
            "question_mask": question_mask,
            "question_lengths": question_mask.sum(1).tolist(),
            "video_index": torch.repeat_interleave(torch.tensor(counts)),
            "questions_in_video": counts,
            "labels": torch.tensor([label for sample in samples for label in sample.labels]),
            "qids": [qid for sample in samples for qid in sample.qids],
        }
        if samples[0].clips is not None:
            batch["clips"], batch["clip_mask"] = pad_clips([sample.clips for sample in samples])
        return batch


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
