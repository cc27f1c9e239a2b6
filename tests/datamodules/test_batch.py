"""Collation against values worked out by hand."""

import numpy as np
import torch

from datamodules.batch import QACollate, Questions, pad_clips
from datamodules.tokenization import load_tokenizer
from datasets.qa import IGNORE_INDEX, VideoSample

from .conftest import WORDS


def sample(value: int, clips: int | None, questions: list[str], labels: list[int]) -> VideoSample:
    return VideoSample(
        frames=np.full((2, 3, 4, 4), value, np.uint8),
        clips=None if clips is None else np.full((clips, 5), value, np.float32),
        indices=[10 * value + i for i in range(len(questions))],
        qids=[f"{value}_{i}" for i in range(len(questions))],
        questions=questions,
        answers=[question[::-1] for question in questions],
        labels=labels,
        video_id=str(value),
    )


def test_videos_and_questions_that_point_at_them():
    samples = [sample(1, 3, ["what is it", "dog"], [0, IGNORE_INDEX]), sample(2, 1, ["who runs"], [3])]
    batch = QACollate(load_tokenizer(WORDS))(samples)
    assert set(batch) == {
        *("frames", "clips", "clip_mask", "questions", "labels"),
        *("indices", "qids", "question_texts", "answer_texts"),
    }
    assert batch["frames"].shape == (2, 2, 3, 4, 4)
    assert batch["frames"].dtype == torch.uint8
    assert batch["frames"][:, 0, 0, 0, 0].tolist() == [1, 2]
    assert batch["clips"].dtype == torch.float32
    assert batch["clips"][:, :, 4].tolist() == [[1, 1, 1], [2, 0, 0]]
    assert batch["clip_mask"].tolist() == [[True, True, True], [True, False, False]]
    questions = batch["questions"]
    assert questions.ids.tolist() == [[2, 5, 7, 8, 3], [2, 10, 3, 0, 0], [2, 6, 12, 3, 0]]
    assert questions.mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]
    assert questions.lengths == [5, 3, 4]
    assert questions.per_video == [2, 1]
    assert [questions.video(index) for index in range(len(questions))] == [0, 0, 1]
    assert batch["labels"].tolist() == [0, -100, 3]
    assert batch["indices"] == [10, 11, 20]
    assert batch["qids"] == ["1_0", "1_1", "2_0"]
    assert batch["question_texts"] == ["what is it", "dog", "who runs"]
    assert batch["answer_texts"] == ["ti si tahw", "god", "snur ohw"]
    for tensor in (questions.ids, questions.mask, batch["labels"]):
        assert tensor.dtype == torch.int64


def test_questions_without_any_about_a_video():
    questions = Questions(torch.zeros(3, 1), torch.ones(3, 1), [1, 1, 1], [0, 2, 0, 1])
    assert [questions.video(index) for index in range(3)] == [1, 1, 3]


def test_without_a_temporal_stream():
    batch = QACollate(load_tokenizer(WORDS), max_text_len=4)([sample(1, None, ["what is it"], [0])])
    assert "clips" not in batch
    assert "clip_mask" not in batch
    assert batch["questions"].ids.tolist() == [[2, 5, 7, 3]]


def test_padding_of_clips():
    clips, mask = pad_clips([np.ones((1, 2), np.float32), np.ones((4, 2), np.float32)])
    assert clips.sum(2).tolist() == [[2, 0, 0, 0], [2, 2, 2, 2]]
    assert mask.tolist() == [[True, False, False, False], [True] * 4]
