"""``modules.load_model``, what a checkpoint says of its network, and what is read off its weights."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.errors import InputError
from modules import load_model
from modules.checkpoints.metadata import infer_sizes, make_metadata, plain
from modules.checkpoints.reader import read_checkpoint
from modules.models.dest import DeST
from modules.models.settings import ModelSizes
from tests.modules.models.test_dest import SMALL, make_batch

from .files import TRM_SIZES, assert_equal, file_of, load


def test_saving_and_loading_changes_no_bit(tmp_path, qa):
    config = {"exp_name": "toy", "temporal": True, "learning_rate": np.float64(2e-5), "data_root": Path("data")}
    metadata = make_metadata(SMALL, config, ["yes", "no"], ["[PAD]", "[UNK]"])
    torch.save({"state_dict": qa, "dest": metadata}, tmp_path / "x.ckpt")
    model = load_model(tmp_path / "x.ckpt", task="anetqa")
    assert_equal(model, qa)
    assert not model.training
    assert model.sizes == SMALL
    assert read_checkpoint(tmp_path / "x.ckpt").metadata == metadata
    assert metadata["config"] == {"exp_name": "toy", "temporal": True, "learning_rate": 2e-5, "data_root": "data"}
    assert metadata["vocabulary"] == ["yes", "no"]
    assert metadata["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_only_plain_values_are_kept():
    assert plain({1: (np.int64(3), torch.tensor(0.5), None)}) == {"1": [3, 0.5, None]}
    with pytest.raises(TypeError, match="has no place in a checkpoint"):
        plain(object())


@pytest.mark.parametrize("task", ["anetqa", "agqa", "anetqa_mean", "agqa_mean", "trm"])
def test_load_model(tmp_path, task, qa, mean_baseline, trm):
    weights = trm if task == "trm" else mean_baseline if task.endswith("mean") else qa
    sizes = TRM_SIZES if task == "trm" else SMALL
    torch.save({"state_dict": weights, "dest": make_metadata(sizes, {})}, tmp_path / "x.ckpt")
    model = load_model(tmp_path / "x.ckpt", task=task)
    batch = make_batch([2, 1])
    logits = model(batch)
    assert logits.shape == (3, len(batch["answer_ids"]))
    reference = DeST(sizes, spatial=task != "trm", temporal=not task.endswith("mean")).eval()
    load(reference, weights)
    assert torch.equal(logits, reference(batch))


def test_load_model_with_published_quirks(tmp_path, qa):
    torch.save({"state_dict": qa, "dest": make_metadata(SMALL, {})}, tmp_path / "x.ckpt")
    batch = make_batch([2, 1])
    with_quirks = load_model(tmp_path / "x.ckpt", task="anetqa", published_quirks=True)
    assert not torch.allclose(with_quirks(batch), load_model(tmp_path / "x.ckpt", task="agqa")(batch))
    with pytest.raises(InputError, match=r"published_quirks belong to .* task='anetqa_mean' has none"):
        load_model(tmp_path / "x.ckpt", task="anetqa_mean", published_quirks=True)


def test_load_model_of_an_unknown_task(tmp_path):
    with pytest.raises(InputError, match=r"no task is called 'anet_qa' \(did you mean 'anetqa'\?\)"):
        load_model(tmp_path / "x.ckpt", task="anet_qa")


def test_load_model_of_the_wrong_file(tmp_path, vqa, trm):
    torch.save({"model": vqa}, tmp_path / "vqa.pth")
    with pytest.raises(InputError, match="looks like an ALBEF file"):
        load_model(tmp_path / "vqa.pth", task="anetqa")
    torch.save({"state_dict": trm}, tmp_path / "trm.ckpt")
    with pytest.raises(InputError, match="looks like a TRM checkpoint"):
        load_model(tmp_path / "trm.ckpt", task="agqa")
    torch.save({"conv.weight": torch.ones(3, 3)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"lacks the image or the text encoder .*a file of another project"):
        load_model(tmp_path / "other.pth", task="agqa")


def test_sizes_without_metadata():
    sizes = ModelSizes(
        hidden_size=128,
        head_width=16,
        image_size=48,
        patch_size=16,
        vit_depth=1,
        vit_heads=2,
        num_layers=3,
        num_text_layers=1,
        num_heads=2,
        intermediate_size=40,
        vocab_size=60,
        max_text_positions=32,
        answer_layers=2,
        answer_heads=2,
        answer_intermediate_size=48,
        input_video_embed_size=8,
        max_clips=10,
    )
    assert infer_sizes(file_of(DeST(sizes).state_dict())) == sizes


@pytest.mark.parametrize(("sizes", "said"), [({"depth": 3}, "depth"), ({"hidden_size": "32"}, "hidden_size='32'")])
def test_sizes_of_another_version(qa, sizes, said):
    file = file_of(qa)
    file.metadata = {"sizes": sizes}
    with pytest.raises(InputError, match=f"the sizes in its metadata are not this version's: {said}"):
        infer_sizes(file)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("visual_encoder.pos_embed", [5]),
        ("visual_encoder.pos_embed", [1, 0, 32]),
        ("visual_encoder.patch_embed.proj.weight", []),
        ("text_encoder.embeddings.word_embeddings.weight", [60]),
        ("ans_encoder.pooler.1.weight", []),
    ],
)
def test_sizes_of_weights_without_the_right_axes(qa, name, shape):
    file = file_of(qa)
    file.metadata = None
    file.tensors[name] = torch.zeros(shape)
    with pytest.raises(InputError, match=re.escape(f"{name} has the shape {shape}, which no DeST or ALBEF checkpoint")):
        infer_sizes(file)
