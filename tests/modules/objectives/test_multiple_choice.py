"""Multiple choice against open-ended question answering, and against figures worked out plainly."""

import pytest
import torch

import modules  # noqa: F401
from datasets.qa import IGNORE_INDEX
from modules.objectives.multiple_choice import MultipleChoice
from modules.objectives.open_ended_qa import OpenEndedQA
from modules.objectives.settings import OptimizerSettings

from .test_open_ended_qa import ANSWERS
from .test_open_ended_qa import make_task as make_open_ended_task

CHOICES = torch.tensor([[0, 3, 8], [3, 8, 1], [5, 5, 0], [8, 0, 2], [1, 2, 4]])
LABELS = [0, 2, IGNORE_INDEX, 1, 1]


def make_task() -> tuple[MultipleChoice, OpenEndedQA, dict]:
    open_ended, batch = make_open_ended_task()
    texts = [[ANSWERS[place] for place in row] for row in CHOICES.tolist()]
    truths = [row[label] if label >= 0 else "" for row, label in zip(texts, LABELS, strict=True)]
    batch |= {"choices": CHOICES, "choice_texts": texts, "answer_texts": truths, "labels": torch.tensor(LABELS)}
    task = MultipleChoice(open_ended.model, OptimizerSettings(), per_gpu_batchsize=2)
    task.log = lambda *_, **__: None
    return task, open_ended, batch


@torch.no_grad()
def test_the_vocabulary_as_choices_gives_the_logits_of_open_ended_questions():
    task, open_ended, batch = make_task()
    batch["choices"] = torch.arange(len(ANSWERS)).expand(5, -1)
    open_ended.on_predict_start()
    expected = open_ended.score(batch)
    assert expected.std() > 0.01
    torch.testing.assert_close(task.score(batch), expected, rtol=1e-5, atol=1e-5)


def test_training_loss_is_over_the_choices():
    task, _, batch = make_task()
    logits = task.model(batch)
    rows = [logits[row, CHOICES[row]].log_softmax(0)[LABELS[row]] for row in (0, 1, 3, 4)]
    torch.testing.assert_close(task.training_step(batch, 0), -torch.stack(rows).mean())


@torch.no_grad()
def test_validation_and_predictions():
    task, _, batch = make_task()
    task.on_validation_start()
    example = task.example(batch, task.validation_step(batch, 0), 3)
    best = task.model(batch).gather(1, CHOICES).argmax(1).tolist()
    right = sum(found == label for found, label in zip(best, LABELS, strict=True))
    assert task.val_accuracy.compute().item() == pytest.approx(right / 5)
    assert example.guesses[0][0] == batch["choice_texts"][3][best[3]]
    records, report = task.summarize(task.predict_step(batch, 0))
    truths = [None if label == IGNORE_INDEX else label for label in LABELS]
    expected = [(f"q_{row}", {"prediction": best[row], "answer": truths[row]}) for row in (1, 3, 4, 0, 2)]
    assert list(records.items()) == expected
    assert report == f"5 questions, accuracy {20 * right:.2f} %"
