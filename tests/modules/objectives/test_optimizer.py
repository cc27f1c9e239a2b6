"""Groups and schedule against figures worked out by hand."""

import pytest
import torch

import modules  # noqa: F401
from datasets.errors import InputError
from modules.models.dest import DeST
from modules.objectives.optimizer import build_optimizer, freeze_parameters, parameter_groups
from modules.objectives.settings import OptimizerSettings
from tests.modules.models.test_dest import SMALL

RECIPE = OptimizerSettings(learning_rate=2e-5, lr_mult_head=50, lr_mult_ans=2, lr_time=10)
PUBLISHED_FREEZE = ("visual_encoder", "text_encoder.embeddings", "ans_encoder.lm.embeddings")


@pytest.mark.parametrize("temporal", [True, False])
@pytest.mark.parametrize("freeze", [(), PUBLISHED_FREEZE])
def test_each_trainable_parameter_is_in_exactly_one_group(temporal, freeze):
    model = DeST(SMALL, temporal=temporal)
    freeze_parameters(model, freeze)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = [(names[id(one)], group) for group in parameter_groups(model, RECIPE) for one in group["params"]]
    trainable = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert sorted(name for name, _ in found) == sorted(trainable)
    assert not any(name.startswith(freeze) for name in trainable if freeze)
    groups = {name: (group["lr"], group["weight_decay"]) for name, group in found}
    for name, (rate, decay) in {
        "text_encoder.encoder.layer.0.output.dense.weight": (2e-5, 0.01),
        "text_encoder.encoder.layer.0.output.dense.bias": (2e-5, 0.0),
        "text_encoder.encoder.layer.0.output.LayerNorm.weight": (2e-5, 0.0),
        "frame_head.0.weight": (1e-3, 0.01),
        "video_head.2.bias": (1e-3, 0.0),
        "ans_encoder.pooler.0.dense.weight": (1e-3, 0.01),
        "ans_encoder.lm.transformer.layer.0.ffn.lin1.weight": (4e-5, 0.01),
        "temporal_encoder.encoder.layer.3.crossattention.self.key.weight": (2e-4, 0.01),
        "temporal_embedding.bos": (2e-4, 0.01),
        "temporal_embedding.ln.weight": (2e-4, 0.0),
    }.items():
        assert groups.get(name, (rate, decay)) == (pytest.approx(rate), decay), name


def test_freezing_a_part_that_does_not_exist_names_it():
    with pytest.raises(InputError, match=r"'visual_encodr' \(did you mean 'visual_encoder'\?\)"):
        freeze_parameters(DeST(SMALL), ["visual_encodr"])


@pytest.mark.parametrize("warmup", [2, 0.18, 0])
def test_warm_up_then_linear_decay_to_zero(warmup):
    model = torch.nn.ModuleDict({"frame_head": torch.nn.Linear(2, 2), "other": torch.nn.Linear(2, 2)})
    settings = OptimizerSettings(learning_rate=1.0, warmup_steps=warmup, lr_mult_head=50)
    optimizer, schedule = build_optimizer(model, settings, total_steps=10)
    rates = []
    for _ in range(11):
        rates.append({group["name"].removesuffix("_no_decay"): group["lr"] for group in optimizer.param_groups})
        optimizer.step()
        schedule.step()
    after = [0, 0.5, *(1 - step / 8 for step in range(9))]  # two steps, or 18 % of ten, rounded
    expected = [1 - step / 10 for step in range(11)] if warmup == 0 else after
    assert [rate["base"] for rate in rates] == pytest.approx(expected)
    assert [rate["head"] for rate in rates] == pytest.approx([50 * rate for rate in expected])


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_every_optimizer_steps(name):
    model = torch.nn.Linear(2, 1)
    before = model.weight.detach().clone()
    settings = OptimizerSettings(learning_rate=1e-1, optim_type=name, warmup_steps=0)
    optimizer, _ = build_optimizer(model, settings, total_steps=3)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert not torch.equal(model.weight, before)
