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
RATES = {  # and weight decay
    "text_encoder.encoder.layer.0.output.dense.weight": (2e-5, 0.01),
    "text_encoder.encoder.layer.0.output.LayerNorm.weight": (2e-5, 0.0),
    "frame_head.0.weight": (1e-3, 0.01),
    "video_head.2.bias": (1e-3, 0.0),
    "ans_encoder.pooler.0.dense.weight": (1e-3, 0.01),
    "ans_encoder.lm.transformer.layer.0.ffn.lin1.weight": (4e-5, 0.01),
    "temporal_encoder.encoder.layer.3.crossattention.self.key.weight": (2e-4, 0.01),
    "temporal_embedding.bos": (2e-4, 0.01),
}


@pytest.mark.parametrize("freeze", [(), ("visual_encoder", "text_encoder.embeddings", "ans_encoder.lm.embeddings")])
def test_each_trainable_parameter_is_in_exactly_one_group(freeze):
    model = DeST(SMALL)
    freeze_parameters(model, freeze)
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = [(names[one], group) for group in parameter_groups(model, RECIPE) for one in group["params"]]
    assert sorted(name for name, _ in groups) == sorted(name for name in names.values() if not name.startswith(freeze))
    found = {name: (group["lr"], group["weight_decay"]) for name, group in groups}
    assert {name: found[name] for name in RATES} == {name: pytest.approx(own) for name, own in RATES.items()}
    with pytest.raises(InputError, match=r"'visual_encodr' \(did you mean 'visual_encoder'\?\)"):
        freeze_parameters(model, ["visual_encodr"])


@pytest.mark.parametrize(("name", "warmup"), [("adamw", 2), ("adam", 0.18), ("sgd", 0)])  # two steps, or 18 % of ten
def test_warm_up_then_linear_decay_to_zero(name, warmup):
    model = torch.nn.Linear(2, 2)
    before = model.weight.detach().clone()
    settings = OptimizerSettings(learning_rate=1.0, optim_type=name, warmup_steps=warmup)
    optimizer, schedule = build_optimizer(model, settings, total_steps=10)
    model(torch.ones(1, 2)).sum().backward()
    rates = []
    for _ in range(11):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    decay = 8 if warmup else 10
    assert rates == pytest.approx(([0, 0.5] if warmup else []) + [1 - step / decay for step in range(decay + 1)])
    assert not torch.equal(model.weight, before)
