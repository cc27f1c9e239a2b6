"""The one way to a network: whose sizes and weights it has, how often a file is read for it, and `load_model`."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.errors import InputError
from modules import load_model
from modules.checkpoints.metadata import infer_sizes, make_metadata, plain
from modules.checkpoints.network import build_network, find_sizes
from modules.checkpoints.reader import read_checkpoint
from modules.models.dest import DeST
from modules.models.settings import ModelSizes
from modules.objectives.temporal_referring import ReferringDeST
from tests.modules.models.test_dest import SMALL, make_batch

from .conftest import TRM_SIZES, assert_equal, file_of, load


def test_sizes_and_weights_of_settings_and_file(qa, capsys):
    parts = {"bert_config": {"num_layers": 3, "num_text_layers": 1}, "vit_config": {"vit_depth": 5}}
    file = file_of(qa)
    own = find_sizes(file, {"max_pos_len": 7, "image_size": 32, "answer_config": {"answer_layers": 2}, **parts})
    assert (own.max_clips, own.image_size, own.num_layers, own.vit_depth, own.answer_layers) == (7, 32, 3, 5, 2)
    assert own.hidden_size == SMALL.hidden_size and find_sizes(None, {}) == ModelSizes()
    network = build_network(file, SMALL.as_dict() | {"temporal": True, "drop_rate": 0.0, "objective": "qa"})
    assert network.drop_rate == 0.0
    assert_equal(network, qa)
    assert "started fresh  nothing" in capsys.readouterr().out
    sizes = SMALL.as_dict() | {"max_pos_len": SMALL.max_clips}
    assert isinstance(build_network(None, sizes, ReferringDeST), ReferringDeST)
    build_network(None, sizes, verbose=False)
    assert capsys.readouterr().out == "no load_path: random weights\n"


def test_saving_and_loading_changes_no_bit(tmp_path, qa):
    config = {"exp_name": "toy", "temporal": True, "learning_rate": np.float64(2e-5), "data_root": Path("data")}
    metadata = make_metadata(SMALL, config, ["yes", "no"], ["[PAD]", "[UNK]"])
    torch.save({"state_dict": qa, "dest": metadata}, tmp_path / "x.ckpt")
    model = load_model(tmp_path / "x.ckpt", task="anetqa")
    assert_equal(model, qa)
    assert not model.training and model.sizes == SMALL
    assert read_checkpoint(tmp_path / "x.ckpt").metadata == metadata
    assert metadata["config"] == {"exp_name": "toy", "temporal": True, "learning_rate": 2e-5, "data_root": "data"}
    assert metadata["vocabulary"] == ["yes", "no"]
    assert metadata["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert plain({1: (np.int64(3), torch.tensor(0.5), None)}) == {"1": [3, 0.5, None]}
    with pytest.raises(TypeError, match="has no place in a checkpoint"):
        plain(object())


@pytest.mark.parametrize("task", ["anetqa", "agqa", "anetqa_mean", "agqa_mean", "trm"])
def test_load_model(tmp_path, task, qa, mean_baseline, trm):
    weights = trm if task == "trm" else mean_baseline if task.endswith("mean") else qa
    sizes = TRM_SIZES if task == "trm" else SMALL
    torch.save({"state_dict": weights, "dest": make_metadata(sizes, {})}, tmp_path / "x.ckpt")
    batch = make_batch([2, 1])
    logits = load_model(tmp_path / "x.ckpt", task=task)(batch)
    reference = DeST(sizes, spatial=task != "trm", temporal=not task.endswith("mean")).eval()
    load(reference, weights)
    assert torch.equal(logits, reference(batch))
    if task in ("anetqa", "agqa"):
        with_quirks = load_model(tmp_path / "x.ckpt", task, published_quirks=True)(batch)
        assert not torch.allclose(with_quirks, logits)
    else:
        with pytest.raises(InputError, match=f"published_quirks .* task='{task}' has none"):
            load_model(tmp_path / "x.ckpt", task, published_quirks=True)


def test_load_model_of_the_wrong_file(tmp_path, vqa, trm):
    path, other = tmp_path / "x.ckpt", {"conv.weight": torch.ones(3, 3)}
    for weights, said in ((vqa, "an ALBEF file"), (trm, "a TRM checkpoint"), (other, "a file of another project")):
        torch.save(weights, path)
        with pytest.raises(InputError, match=f"looks like {said}"):
            load_model(path, task="anetqa")
    with pytest.raises(InputError, match=r"no task is called 'anet_qa' \(did you mean 'anetqa'\?\)"):
        load_model(path, task="anet_qa")


def test_sizes_without_metadata(qa):
    different = {field.name: number for number, field in enumerate(fields(ModelSizes), 20)}  # from one another
    heads = dict.fromkeys(("vit_heads", "num_heads", "answer_heads"), 2)  # 64 wide each
    layers = {"hidden_size": 128, "vit_depth": 1, "num_layers": 3, "num_text_layers": 1, "answer_layers": 2}
    sizes = ModelSizes(**different | heads | layers | {"image_size": 48, "patch_size": 16})
    assert infer_sizes(file_of(DeST(sizes).state_dict())) == sizes
    for recorded, said in (({"depth": 3}, "depth"), ({"hidden_size": "32"}, "hidden_size='32'")):
        file = file_of(qa)
        file.metadata = {"sizes": recorded}
        with pytest.raises(InputError, match=f"sizes in its metadata are not this version's: {said}"):
            infer_sizes(file)
