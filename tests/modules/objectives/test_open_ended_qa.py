"""Question answering: loss, metrics and predictions against figures worked out plainly."""

import pytest
import torch

import modules  # noqa: F401
from datasets.qa import IGNORE_INDEX
from modules.models.dest import DeST
from modules.objectives.multiple_choice import MultipleChoice
from modules.objectives.open_ended_qa import OpenEndedQA
from modules.objectives.settings import OptimizerSettings
from tests.modules.models.test_dest import SMALL, lively, make_batch

ANSWERS = ["yes", "no", "red", "blue", "two", "left", "run", "box", "sea"]


def make_task(num_answers: int = 1) -> tuple[OpenEndedQA, dict]:
    batch = make_batch([2, 1, 2])
    batch |= {"labels": torch.tensor([0, 3, IGNORE_INDEX, 8, 1]), "indices": [3, 0, 4, 1, 2]}
    for name in ("qids", "question_texts", "answer_texts"):
        batch[name] = [f"{name[0]}_{index}" for index in range(5)]
    network, answers = lively(DeST(SMALL, drop_rate=0.0)), (batch["answer_ids"], batch["answer_mask"])
    task = OpenEndedQA(network, OptimizerSettings(), ANSWERS, *answers, num_answers)
    task.logged = {}
    task.log = lambda name, value, **_: task.logged.__setitem__(name, value)
    return task, batch


def test_loss_and_accuracy():
    """An answer outside the vocabulary has no loss, and is wrong; validation's means are over all questions."""
    task, batch = make_task()
    logits = task.model(batch)
    best, worse = logits.argmax(1).tolist(), logits.argmin(1).tolist()
    losses, rows = [], [[*best[:2], IGNORE_INDEX, *worse[3:]], [*[IGNORE_INDEX] * 3, best[3], IGNORE_INDEX]]
    task.on_validation_start()
    for labels, share in zip(rows, (2 / 5, 1 / 5), strict=True):
        batch["labels"] = torch.tensor(labels)
        known = [own.logsumexp(0) - own[label] for own, label in zip(logits, labels, strict=True) if label >= 0]
        torch.testing.assert_close(task.training_step(batch, 0), torch.stack(known).mean())
        assert task.logged["train/accuracy"].item() == pytest.approx(share)
        with torch.no_grad():
            task.validation_step(batch, 0)
        losses += known
    torch.testing.assert_close(task.val_loss.compute(), torch.stack(losses).detach().mean())
    assert task.val_accuracy.compute().item() == pytest.approx(3 / 10)
    task.on_validation_end()
    assert task.answer_features is None


@torch.no_grad()
@pytest.mark.parametrize("num_answers", [1, 3, 10])
def test_predictions(num_answers):
    """In the order of the test questions; no more answers than the vocabulary has, and a list only of several."""
    task, batch = make_task(num_answers)
    shares, ranked = task.model(batch).softmax(1).sort(1, descending=True)
    texts = [[ANSWERS[index] for index in row] for row in ranked.tolist()]
    batch["answer_texts"] = [texts[0][0], texts[1][1], "", texts[3][0], "of no vocabulary"]
    task.on_predict_start()
    records, report = task.summarize(task.predict_step(batch, 0))
    assert report == "5 questions, accuracy 40.00 %"
    for record, row in zip(records, (1, 3, 4, 0, 2), strict=True):
        scores = pytest.approx(shares[row, :num_answers].tolist(), abs=1.1e-5)
        several = {"answer10": texts[row][:num_answers], "scores10": scores}
        own = several if num_answers > 1 else {"score": pytest.approx(shares[row, 0].item(), abs=1.1e-5)}
        assert record == {"qid": f"q_{row}", "answer": texts[row][0]} | own


def test_multiple_choice():
    """The logits are those of the vocabulary that a question offers."""
    open_ended, batch = make_task()
    task = MultipleChoice(open_ended.model, OptimizerSettings(), per_gpu_batchsize=2)
    task.log = lambda *_, **__: None
    choices, labels = [[0, 3, 8], [3, 8, 1], [5, 5, 0], [8, 0, 2], [1, 2, 4]], [0, 2, IGNORE_INDEX, 1, 1]
    texts = [[ANSWERS[index] for index in row] for row in choices]
    batch |= {"choices": torch.tensor(choices), "choice_texts": texts, "labels": torch.tensor(labels)}
    logits = torch.stack([row[own] for row, own in zip(task.model(batch), choices, strict=True)])
    rows = [logits[row].log_softmax(0)[labels[row]] for row in (0, 1, 3, 4)]
    torch.testing.assert_close(task.training_step(batch, 0), -torch.stack(rows).mean())
    with torch.no_grad():
        task.on_validation_start()
        outputs = task.validation_step(batch, 0)
    torch.testing.assert_close(outputs["logits"], logits.detach(), rtol=1e-5, atol=1e-5)
    example = task.example(batch, outputs, 3)
    assert (example.question, example.answer, example.guesses[0][0]) == ("q_3", "a_3", texts[3][logits[3].argmax()])
    assert torch.equal(example.frames, batch["frames"][2])  # questions 3 and 4 ask about the third video
