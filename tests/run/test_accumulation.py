"""Steps of several batches, which encode the answers once, learn what encoding them for each batch would teach."""

import pytest
import torch

from modules.objectives.open_ended_qa import OpenEndedQA
from modules.objectives.step_features import StepFeatures
from modules.training.precision import precision_plugin
from tests.kit.exchanges import EXCHANGE
from tests.kit.processes import start
from tests.kit.runs import assert_close_runs, change_steps, load, run_folder, train
from tests.kit.small_world import make_small_world, settings
from tests.modules.objectives.test_open_ended_qa import make_task

# Adam would blow up the rounding of gradients that are zero.
PLAIN = ("drop_rate=0.0", "optim_type=sgd", "learning_rate=0.01")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_small_world(tmp_path_factory.mktemp("world"), questions_each=3)  # 5 batches an epoch, thus 3 steps


def encode_for_each_batch(patch):
    patch.setattr(StepFeatures, "of_batch", lambda own, begins_step, ends_step: own._encode())


@pytest.mark.parametrize(
    "more",
    [
        ("val_check_interval=0.5",),
        ("grad_checkpointing=True",),
        ("freeze=['visual_encoder','ans_encoder']",),
        ("skip_bad_steps=2",),
    ],
)
def test_a_run_on_one_process(world, monkeypatch, more):
    if "skip_bad_steps=2" in more:  # the first half of the second step has no loss, and the step is left out
        change_steps(
            monkeypatch, OpenEndedQA, lambda module, step, _: step() * (1 if module.global_step != 1 else torch.nan)
        )
    runs = [train(world, "once", *PLAIN, *more)]
    with monkeypatch.context() as patch:
        encode_for_each_batch(patch)
        runs.append(train(world, "each", *PLAIN, *more))
    assert_close_runs(*(run / "checkpoints/last.ckpt" for run in runs))


def test_a_run_on_two_processes(tmp_path, monkeypatch):
    world = make_small_world(tmp_path, num_videos=18, questions_each=1)  # of two, a batch would draw the same frames
    words = settings(world, *PLAIN, "exp_name=two", "num_gpus=2", "per_gpu_batchsize=2")
    process = start("-m", "tests.kit.exchanges", *words)
    encode_for_each_batch(monkeypatch)
    one = train(world, "one", *PLAIN)
    said = process.communicate()[0]
    assert process.returncode == 0, said
    assert said.count(EXCHANGE) == 2 * load(one / "checkpoints/last.ckpt")["global_step"]  # by each rank once per step
    assert_close_runs(one / "checkpoints/last.ckpt", run_folder(world, "two") / "checkpoints/last.ckpt")


@pytest.mark.parametrize(("precision", "tolerance"), [(32, 1e-5), ("bf16", 0.02), (16, 0.01)])
def test_gradients_of_a_step(precision, tolerance):
    """Of three batches, in the precisions of a run; with a scaler they are its multiples."""
    task, batch = make_task()
    plugin = precision_plugin(precision, "cpu")
    scale = 1024.0 if precision == 16 else 1.0
    labels = [batch["labels"].roll(shift) for shift in range(3)]

    def gradients(places: list[tuple[bool, bool]]) -> torch.Tensor:
        task.zero_grad()
        for (task.begins_step, task.ends_step), own in zip(places, labels, strict=True):
            with plugin.forward_context():
                loss = task.training_step(batch | {"labels": own}, 0)
            (scale * loss / 3).backward()
        return torch.cat([own.grad.ravel() for own in task.parameters() if own.grad is not None])

    encoded = []
    task.model.ans_encoder.pooler.register_forward_hook(lambda *_: encoded.append(1))
    each = gradients([(True, True)] * 3)
    calls = len(encoded)
    once = gradients([(True, False), (False, False), (False, True)])
    assert 3 * (len(encoded) - calls) == calls
    assert (once - each).norm() / each.norm() < tolerance
