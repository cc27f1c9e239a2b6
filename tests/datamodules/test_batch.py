import numpy as np
import torch

from datamodules.batch import QACollate
from datamodules.tokenization import load_tokenizer
from datasets.qa import IGNORE_INDEX, VideoSample

from .conftest import WORDS


def sample(value: int, clips: int, questions: list[str], labels: list[int]) -> VideoSample:
    return VideoSample(
        frames=np.full((2, 3, 4, 4), value, np.uint8),
        clips=np.full((clips, 5), value, np.float32),
        indices=[10 * value + i for i in range(len(questions))],
        qids=[f"{value}_{i}" for i in range(len(questions))],
        questions=questions,
        answers=[question[::-1] for question in questions],
        labels=labels,
        video_id=str(value),
    )


def test_videos_and_questions_that_point_at_them():
    samples = [sample(1, 3, ["what is it", "dog"], [0, IGNORE_INDEX]), sample(2, 1, ["who runs"], [3])]
    batch = QACollate(load_tokenizer(WORDS), max_text_len=4)(samples)
    assert batch["frames"].dtype == torch.uint8 and batch["frames"][:, 0, 0, 0, 0].tolist() == [1, 2]
    assert batch["clips"][:, :, 4].tolist() == [[1, 1, 1], [2, 0, 0]]
    assert batch["clip_mask"].tolist() == [[True, True, True], [True, False, False]]
    questions = batch["questions"]
    assert questions.ids.tolist() == [[2, 5, 7, 3], [2, 10, 3, 0], [2, 6, 12, 3]]
    assert questions.mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert (questions.lengths, questions.per_video) == ([4, 3, 4], [2, 1])
    assert batch["labels"].tolist() == [0, -100, 3]
    assert (batch["indices"], batch["qids"]) == ([10, 11, 20], ["1_0", "1_1", "2_0"])
    assert batch["answer_texts"] == ["ti si tahw", "god", "snur ohw"]
