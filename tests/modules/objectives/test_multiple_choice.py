"""Multiple choice against open-ended question answering, and against figures worked out plainly."""

import pytest
import torch

import modules  # noqa: F401
from datasets.qa import IGNORE_INDEX
from modules.models.dest import DeST
from modules.objectives.multiple_choice import MultipleChoice
from modules.objectives.open_ended_qa import OpenEndedQA
from modules.objectives.settings import OptimizerSettings
from tests.modules.models.test_dest import SMALL, lively, make_batch

from .test_open_ended_qa import ANSWERS

CHOICES = torch.tensor([[0, 3, 8], [3, 8, 1], [5, 5, 0], [8, 0, 2], [1, 2, 4]])


def make_task() -> tuple[MultipleChoice, dict]:
    batch = make_batch([2, 1, 2])
    batch["answer_lengths"] = batch["answer_mask"].sum(1).tolist()
    batch["choices"] = CHOICES
    batch["labels"] = torch.tensor([0, 2, IGNORE_INDEX, 1, 1])
    batch["indices"] = [3, 0, 4, 1, 2]
    batch["choice_texts"] = [[ANSWERS[place] for place in row] for row in CHOICES.tolist()]
    batch["answer_texts"] = [
        row[label] if label >= 0 else "" for row, label in zip(batch["choice_texts"], batch["labels"], strict=True)
    ]
    for name in ("qids", "question_texts"):
        batch[name] = [f"{name[0]}_{index}" for index in range(5)]
    task = MultipleChoice(DeST(SMALL, drop_rate=0.0), OptimizerSettings(), per_gpu_batchsize=2)
    lively(task.model)
    task.log = lambda *_, **__: None
    return task, batch


@torch.no_grad()
def test_the_vocabulary_as_choices_gives_the_logits_of_open_ended_questions():
    task, batch = make_task()
    batch["choices"] = torch.arange(len(ANSWERS)).expand(5, -1)
    open_ended = OpenEndedQA(task.model, OptimizerSettings(), ANSWERS, batch["answer_ids"], batch["answer_mask"])
    for objective in (task, open_ended):
        objective.eval()
        objective.on_predict_start()
    expected = open_ended.score(batch)
    assert expected.std() > 0.01
    torch.testing.assert_close(task.score(batch), expected, rtol=1e-5, atol=1e-5)


def test_training_loss_is_over_the_choices():
    task, batch = make_task()
    logits = task.model(batch)
    rows = [logits[row, CHOICES[row]].log_softmax(0)[batch["labels"][row]] for row in (0, 1, 3, 4)]
    torch.testing.assert_close(task.training_step(batch, 0), -torch.stack(rows).mean())


@torch.no_grad()
def test_validation_and_predictions():
    task, batch = make_task()
    task.on_validation_start()
    example = task.example(batch, task.validation_step(batch, 0), 3)
    best = task.model(batch).gather(1, CHOICES).argmax(1)
    right = (best == batch["labels"]).tolist()
    assert task.val_accuracy.compute().item() == pytest.approx(sum(right) / 5)
    assert example.guesses[0][0] == batch["choice_texts"][3][best[3]]
    task.on_predict_start()
    records, report = task.summarize(task.predict_step(batch, 0))
    assert list(records) == ["q_1", "q_3", "q_4", "q_0", "q_2"]
    assert records["q_3"] == {"prediction": best[3], "answer": 1}
    assert records["q_2"]["answer"] is None
    assert report == f"5 questions, accuracy {20 * sum(right):.2f} %"
