"""The objective: loss, metrics and predictions against figures worked out plainly."""

import math

import pytest
import pytorch_lightning as pl
import torch

import modules  # noqa: F401
from datasets.qa import IGNORE_INDEX
from modules.models.dest import DeST
from modules.objectives.open_ended_qa import OpenEndedQA
from modules.objectives.settings import OptimizerSettings
from tests.modules.models.test_dest import SMALL, lively, make_batch

ANSWERS = ["yes", "no", "red", "blue", "two", "left", "run", "box", "sea"]


def make_task(num_answers: int = 1) -> tuple[OpenEndedQA, dict]:
    batch = make_batch([2, 1, 2])
    batch["labels"] = torch.tensor([0, 3, IGNORE_INDEX, 8, 1])
    batch["indices"] = [3, 0, 4, 1, 2]
    for name in ("qids", "question_texts", "answer_texts"):
        batch[name] = [f"{name[0]}_{index}" for index in range(5)]
    task = OpenEndedQA(
        DeST(SMALL, drop_rate=0.0),
        OptimizerSettings(),
        ANSWERS,
        batch["answer_ids"],
        batch["answer_mask"],
        num_answers,
    )
    lively(task.model)
    task.logged = {}
    task.log = lambda name, value, **_: task.logged.__setitem__(name, value)
    return task, batch


def losses_of(task: OpenEndedQA, batch: dict) -> list[torch.Tensor]:
    """Of the questions whose answer is in the vocabulary."""
    logits = task.model(batch)
    rows = [row for row, label in enumerate(batch["labels"].tolist()) if label != IGNORE_INDEX]
    return [logits[row].logsumexp(0) - logits[row, batch["labels"][row]] for row in rows]


def test_training_loss_and_accuracy():
    """An answer outside the vocabulary has no loss, and is wrong."""
    task, batch = make_task()
    best = task.model(batch).argmax(1)
    batch["labels"][:2] = best[:2]
    batch["labels"][3:] = (best[3:] + 1) % len(ANSWERS)
    loss = task.training_step(batch, 0)
    torch.testing.assert_close(loss, torch.stack(losses_of(task, batch)).mean())
    assert task.logged["train/accuracy"].item() == pytest.approx(2 / 5)


@torch.no_grad()
def test_validation_loss_is_the_mean_over_all_questions_that_have_a_label():
    """Whatever the batch they are in."""
    task, batch = make_task()
    task.on_validation_start()
    losses = []
    for labels in ([0, 3, IGNORE_INDEX, 8, 1], [IGNORE_INDEX, IGNORE_INDEX, IGNORE_INDEX, 2, IGNORE_INDEX]):
        batch["labels"] = torch.tensor(labels)
        task.validation_step(batch, 0)
        losses += losses_of(task, batch)
    torch.testing.assert_close(task.val_loss.compute(), torch.stack(losses).mean())


@torch.no_grad()
def test_validation_counts_an_unknown_answer_as_wrong():
    task, batch = make_task()
    best = task.model(batch).argmax(1)
    batch["labels"] = best.clone()
    batch["labels"][2] = IGNORE_INDEX
    task.on_validation_start()
    task.validation_step(batch, 0)
    assert task.val_accuracy.compute().item() == pytest.approx(4 / 5)
    assert torch.isfinite(task.val_loss.compute())
    task.on_validation_end()
    assert task.answer_features is None


@torch.no_grad()
def test_predictions():
    task, batch = make_task(num_answers=3)
    task.on_predict_start()
    records = task.predict_step(batch, 0)
    logits = task.model(batch)
    ranked = logits.argsort(1, descending=True)[:, :3]
    assert [record["qid"] for record in records] == batch["qids"]
    for record, indices, row in zip(records, ranked.tolist(), logits.tolist(), strict=True):
        assert record["answer"] == ANSWERS[indices[0]]
        assert record["answer10"] == [ANSWERS[index] for index in indices]
        exponentials = [math.exp(value - max(row)) for value in row]
        shares = [exponentials[index] / sum(exponentials) for index in indices]
        assert record["scores10"] == pytest.approx(shares, abs=1.1e-5)


@torch.no_grad()
def test_records_of_all_ranks_are_put_in_order_and_judged():
    task, batch = make_task(num_answers=2)
    best = task.model(batch).topk(2).indices.tolist()
    batch["answer_texts"] = [ANSWERS[best[0][0]], ANSWERS[best[1][1]], "", ANSWERS[best[3][0]], "of no vocabulary"]
    task.on_predict_start()
    records, report = task.summarize(task.predict_step(batch, 0))
    assert [record["qid"] for record in records] == ["q_1", "q_3", "q_4", "q_0", "q_2"]
    scores = records[0].pop("scores10")
    assert records[0] == {"qid": "q_1", "answer": ANSWERS[best[1][0]], "answer10": [ANSWERS[i] for i in best[1]]}
    assert 1 > scores[0] > scores[1] > 0
    assert report == "5 questions, accuracy 40.00 %"
    with pytest.raises(AssertionError, match="each question exactly once"):
        task.summarize(task.predict_step(batch, 0)[:3])


@torch.no_grad()
def test_a_question_to_look_at():
    task, batch = make_task()
    task.on_validation_start()
    example = task.example(batch, task.validation_step(batch, 0), 3)
    assert (example.question, example.answer) == ("q_3", "a_3")
    assert example.guesses[0][0] == ANSWERS[task.model(batch)[3].argmax()]
    assert len(example.guesses) == 3
    assert torch.equal(example.frames, batch["frames"][2])  # questions 3 and 4 ask about the third video


@torch.no_grad()
def test_a_single_answer_carries_no_list():
    task, batch = make_task(num_answers=1)
    task.on_predict_start()
    batch["indices"] = [0, 1, 2, 3, 4]
    record, *_ = task.summarize(task.predict_step(batch, 0))[0]
    assert set(record) == {"qid", "answer", "score"}
    assert record["score"] == pytest.approx(task.model(batch)[0].softmax(0).max().item(), abs=1.1e-5)


def test_small_vocabulary_gives_fewer_than_ten():
    task, _ = make_task(num_answers=10)
    assert task.num_answers_in_predictions == len(ANSWERS)


def test_checkpoint_keys_are_the_published_names():
    task, _ = make_task()
    checkpoint = {"state_dict": task.state_dict()}
    task.metadata = {"vocabulary": ANSWERS}
    task.on_save_checkpoint(checkpoint)
    assert checkpoint["state_dict"].keys() == task.model.state_dict().keys()
    assert checkpoint["dest"] == {"vocabulary": ANSWERS}
    task.on_load_checkpoint(checkpoint)
    task.load_state_dict(checkpoint["state_dict"])


def test_dropout_of_a_step_depends_on_seed_epoch_and_step_alone():
    task, _ = make_task()
    task.trainer = pl.Trainer(logger=False, enable_checkpointing=False)
    draws = []
    for step, disturbance in [(3, 0), (3, 5), (4, 0)]:
        torch.rand(disturbance)
        task.on_train_batch_start(None, step)
        draws.append(torch.rand(4))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
