"""Groups and schedule against figures worked out by hand."""

import copy

import pytest
import torch

import modules  # noqa: F401
from datasets.errors import InputError
from modules.models.dest import DeST
from modules.objectives.optimizer import (
    build_optimizer,
    freeze_parameters,
    parameter_groups,
    restored_problem,
)
from modules.objectives.settings import OptimizerSettings
from tests.modules.models.test_dest import SMALL

RECIPE = OptimizerSettings(learning_rate=2e-5, lr_mult_head=50, lr_mult_ans=2, lr_time=10)
PUBLISHED_FREEZE = ("visual_encoder", "text_encoder.embeddings", "ans_encoder.lm.embeddings")


def named_groups(model, settings=RECIPE) -> dict[str, tuple[float, float]]:
    """Parameter name -> (learning rate, weight decay); fails when one stands in two groups."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {}
    for group in parameter_groups(model, settings):
        for parameter in group["params"]:
            name = names[id(parameter)]
            assert name not in found
            found[name] = (group["lr"], group["weight_decay"])
    return found


@pytest.mark.parametrize("temporal", [True, False])
@pytest.mark.parametrize("freeze", [(), PUBLISHED_FREEZE])
def test_each_trainable_parameter_is_in_exactly_one_group(temporal, freeze):
    model = DeST(SMALL, temporal=temporal)
    freeze_parameters(model, freeze)
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert named_groups(model).keys() == trainable
    assert not any(name.startswith(freeze) for name in trainable if freeze)


def test_rates_and_decay():
    groups = named_groups(DeST(SMALL))
    for name, (rate, decay) in {
        "text_encoder.encoder.layer.0.output.dense.weight": (2e-5, 0.01),
        "text_encoder.encoder.layer.0.output.dense.bias": (2e-5, 0.0),
        "text_encoder.encoder.layer.0.output.LayerNorm.weight": (2e-5, 0.0),
        "frame_head.0.weight": (1e-3, 0.01),
        "video_head.2.bias": (1e-3, 0.0),
        "ans_encoder.pooler.0.dense.weight": (1e-3, 0.01),
        "ans_encoder.pooler.1.bias": (1e-3, 0.0),
        "ans_encoder.lm.transformer.layer.0.ffn.lin1.weight": (4e-5, 0.01),
        "temporal_encoder.encoder.layer.3.crossattention.self.key.weight": (2e-4, 0.01),
        "temporal_embedding.bos": (2e-4, 0.01),
        "temporal_embedding.ln.weight": (2e-4, 0.0),
    }.items():
        assert groups[name] == (pytest.approx(rate), decay), name


def test_freezing_a_part_that_does_not_exist_names_it():
    with pytest.raises(InputError, match=r"begins with 'visual_encodr' \(did you mean 'visual_encoder'\?\)"):
        freeze_parameters(DeST(SMALL), ["visual_encodr"])


@pytest.mark.parametrize(
    ("warmup", "expected"),
    [
        (2, [0, 0.5, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0]),
        (0.18, [0, 0.5, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0]),
        (0, [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0]),
    ],
)
def test_warm_up_then_linear_decay_to_zero(warmup, expected):
    settings = OptimizerSettings(learning_rate=1.0, warmup_steps=warmup)
    optimizer, schedule = build_optimizer(torch.nn.Linear(2, 2), settings, total_steps=10)
    rates = []
    for _ in range(11):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx(expected)


def test_multiplied_rates_follow_the_same_curve():
    settings = OptimizerSettings(learning_rate=1e-3, warmup_steps=0, lr_mult_head=50)
    model = torch.nn.ModuleDict({"frame_head": torch.nn.Linear(2, 2), "other": torch.nn.Linear(2, 2)})
    optimizer, schedule = build_optimizer(model, settings, total_steps=4)
    optimizer.step()
    schedule.step()
    assert {group["name"]: group["lr"] for group in optimizer.param_groups} == {
        "head": pytest.approx(50e-3 * 0.75),
        "head_no_decay": pytest.approx(50e-3 * 0.75),
        "base": pytest.approx(1e-3 * 0.75),
        "base_no_decay": pytest.approx(1e-3 * 0.75),
    }


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_every_optimizer_steps(name):
    model = torch.nn.Linear(2, 1)
    before = model.weight.detach().clone()
    optimizer, _ = build_optimizer(
        model, OptimizerSettings(learning_rate=1e-1, optim_type=name, warmup_steps=0), total_steps=3
    )
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert not torch.equal(model.weight, before)


class TestRestored:
    @pytest.fixture(params=["adamw", "adam", "sgd"])
    def stepped(self, request):
        model = DeST(SMALL)
        settings = OptimizerSettings(optim_type=request.param, warmup_steps=2)
        optimizer, schedule = build_optimizer(model, settings, total_steps=10)
        sum(parameter.square().sum() for parameter in model.frame_head.parameters()).backward()
        optimizer.step()
        schedule.step()
        return model, settings, optimizer, schedule

    def restore(self, stepped, change):
        """What `restored_problem` says when this has been done to a checkpoint's state."""
        model, settings, *done = stepped
        states = [copy.deepcopy(part.state_dict()) for part in done]
        change(*states)
        fresh = build_optimizer(model, settings, total_steps=10)
        for part, state in zip(fresh, states, strict=True):
            part.load_state_dict(state)
        return restored_problem(*fresh)

    def test_whole(self, stepped):
        assert self.restore(stepped, lambda optimizer, schedule: None) is None

    @pytest.mark.parametrize("value", ["text", None, torch.zeros(3, 3, 3), [1.0]])
    @pytest.mark.parametrize("of_all", [False, True])
    def test_state_of_a_parameter(self, stepped, value, of_all):
        def change(optimizer, schedule):
            states = list(optimizer["state"].values())
            for state in states if of_all else states[-1:]:
                name = list(state)[-1]
                if value is None:
                    state["other"] = state.pop(name)
                else:
                    state[name] = value

        problem = self.restore(stepped, change)
        if value is None and of_all:
            assert problem is None  # the kinds are PyTorch's affair
        else:
            assert "what is kept of one of the parameters 'head" in problem

    @pytest.mark.parametrize("value", ["x", None, [], float("nan"), True])
    @pytest.mark.parametrize("key", ["weight_decay", "lr", "betas", "momentum", "name"])
    def test_settings_of_a_group(self, stepped, key, value):
        if key not in stepped[2].param_groups[0] or (key == "name" and value == "x"):
            pytest.skip("another optimizer, or a name")

        def change(optimizer, schedule):
            optimizer["param_groups"][0][key] = value

        assert ("the name of a group" if key == "name" else f"{key} of the parameters 'base' is ") in self.restore(
            stepped, change
        )

    @pytest.mark.parametrize("rates", [[], [[1.0]], None, ["x"]])
    def test_schedule(self, stepped, rates):
        def change(optimizer, schedule):
            schedule["base_lrs"] = rates if rates is None else rates * len(schedule["base_lrs"])

        assert "the learning rates that the schedule starts from are" in self.restore(stepped, change)

    def test_step_of_the_schedule(self, stepped):
        assert (
            self.restore(stepped, lambda _, schedule: schedule.update(last_epoch="x")) == "the schedule's step is 'x'"
        )
