"""Matching: which weights of a file go where, what starts fresh, what is said, and what is refused."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from datasets.errors import InputError
from modules.checkpoints.loading import NEEDED_TO_TRAIN, fit_positions, load_weights
from modules.checkpoints.names import PARTS, kind_of, published_name
from modules.models.dest import DeST
from modules.models.referring import ReferringDeST
from tests.modules.models.test_dest import SMALL

from .files import TRM_SIZES, assert_equal, file_of, load


def refusal(network, weights, needed=None) -> str:
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    with pytest.raises(InputError) as error:
        load(network, weights, needed)
    assert all(torch.equal(before[name], weight) for name, weight in network.state_dict().items())
    message = str(error.value)
    assert message.startswith("x.ckpt")
    assert "\n" not in message
    return message


# --- what loads ------------------------------------------------------------------------------------------------------


def test_a_checkpoint_of_the_same_network_loads_whole(qa):
    network = DeST(SMALL)
    summary = load(network, qa)
    assert_equal(network, qa)
    assert not summary.fresh
    assert not summary.unused
    assert sum(summary.loaded.values()) == len(qa)
    assert set(summary.loaded) == set(PARTS) - {"contrastive heads"}


@pytest.mark.parametrize("wrapper", ["model.", "module.", "module.model.", "_forward_module.model.", "_orig_mod."])
def test_what_wrappers_put_before_the_names(qa, wrapper):
    network = DeST(SMALL)
    load(network, {wrapper + name: weight for name, weight in qa.items()})
    assert_equal(network, qa)


def test_a_compiled_part_has_the_published_names(qa):
    assert published_name("model.visual_encoder._orig_mod.norm.weight") == "visual_encoder.norm.weight"
    network = torch.compile(DeST(SMALL))
    load(network, qa)
    assert_equal(network._orig_mod, qa)


def test_other_number_types_are_converted(qa):
    network = DeST(SMALL)
    load(network, {name: weight.half() for name, weight in qa.items()})
    assert_equal(network, {name: weight.half().float() for name, weight in qa.items()})


def test_names_that_occur_twice(qa):
    assert "holds frame_head.0.bias twice" in refusal(DeST(SMALL), {**qa, "model.frame_head.0.bias": torch.ones(32)})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite(qa, number):
    network = DeST(SMALL)
    before = network.frame_head[0].weight.clone()
    broken = {**qa, "frame_head.0.weight": qa["frame_head.0.weight"].clone()}
    broken["frame_head.0.weight"][3, 4] = number
    assert "frame_head.0.weight holds numbers that are not finite" in refusal(network, broken)
    assert torch.equal(network.frame_head[0].weight, before)


def test_pre_training_from_albef(albef, qa):
    network = ReferringDeST(TRM_SIZES)
    tau, proj = network.tau.clone(), network.vision_proj.weight.clone()
    summary = load(network, albef, NEEDED_TO_TRAIN)
    assert_equal(network, qa, ["visual_encoder.", "text_encoder."])
    assert set(summary.loaded) == set(NEEDED_TO_TRAIN)
    assert set(summary.fresh) == set(PARTS) - set(NEEDED_TO_TRAIN) - {"frame_head"}
    assert summary.unusual == []
    assert {"visual_encoder_m", "itm_head", "vision_proj", "text_encoder", "temp"} <= set(summary.unused)
    assert summary.unused["text_encoder"] == 2  # the head of its language model
    # ALBEF's projections have our names, but project other things.
    assert torch.equal(network.tau, tau)
    assert torch.equal(network.vision_proj.weight, proj)


@pytest.mark.parametrize("source", ["albef", "vqa", "mean_baseline"])
def test_the_temporal_stream_starts_from_the_text_encoder(source, request):
    network = DeST(SMALL)
    summary = load(network, request.getfixturevalue(source), NEEDED_TO_TRAIN)
    assert summary.fresh["temporal stream"] == "as a copy of text_encoder"
    text, temporal = network.text_encoder, network.temporal_encoder
    for name, weight in text.encoder.state_dict().items():
        assert torch.equal(temporal.encoder.state_dict()[name], weight)
        assert temporal.encoder.state_dict()[name].data_ptr() != weight.data_ptr()
    positions = network.temporal_embedding.frame_pos_embed.weight
    assert torch.equal(positions, text.embeddings.position_embeddings.weight[: len(positions)])
    assert positions.data_ptr() != text.embeddings.position_embeddings.weight.data_ptr()


def test_fine_tuning_from_pre_training(trm):
    network = DeST(SMALL)
    fresh = {name: weight.clone() for name, weight in network.state_dict().items()}
    summary = load(network, trm, NEEDED_TO_TRAIN)
    assert_equal(network, trm, ["visual_encoder.", "text_encoder.", "temporal_", "ans_encoder.lm."])
    # Heads that end in another width start fresh as a whole: their halves were trained together.
    assert_equal(network, fresh, ["frame_head.", "video_head.", "ans_encoder.pooler."])
    assert summary.fresh == {
        "frame_head": "not in the file",
        "video_head": "12 wide in the file, 24 here",
        "ans_encoder.pooler": "12 wide in the file, 24 here",
    }
    assert summary.unusual == []
    # video_head and ans_encoder.pooler, the projections and the temperature
    assert summary.unused == {"video_head": 4, "ans_encoder": 4, "tau": 1, "vision_proj": 2, "text_proj": 2}


def test_fine_tuning_without_pre_training_is_said(vqa):
    summary = load(DeST(SMALL), vqa, NEEDED_TO_TRAIN)
    assert summary.unusual == ["temporal stream", "ans_encoder.lm"]
    assert "note           the published recipe takes temporal stream, ans_encoder.lm from trm.ckpt" in str(summary)
    assert load(DeST(SMALL, temporal=False), vqa, NEEDED_TO_TRAIN).unusual == []


def test_the_baseline_loads_from_both_kinds_of_qa_checkpoint(qa, mean_baseline):
    for weights in (mean_baseline, qa, {**mean_baseline, "video_head.0.weight": torch.ones(32, 32)}):
        network = DeST(SMALL, temporal=False)
        load(network, weights)
        assert_equal(network, weights)


def test_integer_buffers_count_for_nothing(qa):
    summary = load(DeST(SMALL), {**qa, "text_encoder.embeddings.position_ids": torch.arange(32)[None]})
    assert not summary.unused


def test_the_summary(trm, capsys):
    load_weights(DeST(SMALL), file_of(trm), NEEDED_TO_TRAIN)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 4
    assert "x.ckpt is a TRM checkpoint (pre-training)" in printed
    assert "loaded         visual_encoder (18), text_encoder (" in printed
    assert "started fresh  frame_head (not in the file), video_head (12 wide in the file, 24 here)" in printed
    assert "; expected here" in printed
    assert "not used       " in printed


# --- position tables -------------------------------------------------------------------------------------------------


def test_image_positions_for_another_size(qa):
    network = DeST(replace(SMALL, image_size=64))
    summary = load(network, qa)
    assert summary.adapted == ["visual_encoder.pos_embed from [1, 5, 32] to [1, 17, 32]"]
    theirs, ours = qa["visual_encoder.pos_embed"], network.visual_encoder.pos_embed
    assert torch.equal(ours[:, 0], theirs[:, 0])
    grid = theirs[0, 1:].view(2, 2, 32).permute(2, 0, 1)[None]
    grid = F.interpolate(grid, size=(4, 4), mode="bicubic", align_corners=False)[0]
    assert torch.allclose(ours[0, 1:], grid.flatten(1).T, atol=1e-6)
    # A table that means the same everywhere means the same at every size.
    even = {**qa, "visual_encoder.pos_embed": torch.ones(1, 5, 32)}
    load(network, even)
    assert torch.allclose(network.visual_encoder.pos_embed, torch.ones(1, 17, 32), atol=1e-6)


def test_tables_cut_to_another_length(qa):
    network = DeST(replace(SMALL, max_clips=4, max_text_positions=16))
    summary = load(network, qa)
    assert len(summary.adapted) == 3
    for name in (
        "temporal_embedding.frame_pos_embed.weight",
        "text_encoder.embeddings.position_embeddings.weight",
        "ans_encoder.lm.embeddings.position_embeddings.weight",
    ):
        ours = network.state_dict()[name]
        assert torch.equal(ours, qa[name][: len(ours)])


def test_more_positions_than_the_file_knows(qa):
    message = refusal(DeST(replace(SMALL, max_clips=20)), qa)
    assert "temporal_embedding.frame_pos_embed.weight is [12, 32], here [22, 32]" in message
    assert "it knows 12 positions and cannot be given more" in message


# --- what is refused -------------------------------------------------------------------------------------------------


def test_inference_from_a_file_that_only_starts_training(trm, vqa, mean_baseline):
    message = refusal(DeST(replace(SMALL, head_width=12)), trm)
    assert "has no frame_head (the first of its weights: frame_head.0.weight" in message
    assert "this looks like a TRM checkpoint (pre-training): fine-tune from it first" in message
    message = refusal(DeST(SMALL), vqa)
    assert "this looks like an ALBEF file: train from it, or give a DeST checkpoint" in message
    message = refusal(DeST(SMALL), mean_baseline)
    assert "has no temporal stream" in message
    assert "this looks like a checkpoint of a *_mean baseline" in message


def test_a_needed_part_is_missing(qa):
    text_only = {name: weight for name, weight in qa.items() if not name.startswith("visual_encoder.")}
    assert "has no visual_encoder (" in refusal(DeST(SMALL), text_only, NEEDED_TO_TRAIN)


def test_half_a_part_is_missing(qa):
    holes = {name: weight for name, weight in qa.items() if not name.startswith("temporal_encoder.encoder.layer.1.")}
    for needed in (None, NEEDED_TO_TRAIN):
        message = refusal(DeST(SMALL), holes, needed)
        assert "has only some of temporal stream: 16 of " in message
        assert "(the first: temporal_encoder.encoder.layer.1.attention.self.query.weight" in message


def test_another_shape(qa):
    message = refusal(DeST(replace(SMALL, intermediate_size=64)), qa)
    assert "text_encoder.encoder.layer.0.intermediate.dense.weight is [48, 32], here [64, 32]" in message
    assert "configured with other sizes than the file's" in message
    assert "another patch_size" in refusal(DeST(replace(SMALL, patch_size=8, image_size=16)), qa)
    assert "is [24, 32], here [12, 32]" in refusal(DeST(TRM_SIZES), qa)


def test_nothing_loads(qa):
    message = refusal(
        DeST(SMALL), {"backbone.patch_embed.proj.weight": torch.ones(2, 2), "cls_head.bias": torch.ones(2)}
    )
    assert "none of its 2 weights belongs to this network (the first: backbone.patch_embed.proj.weight" in message
    assert "Video Swin" in message
    message = refusal(DeST(SMALL), {"layer1.0.conv1.weight": torch.ones(2, 2)})
    assert "this looks like a file of another project" in message


def test_kinds(qa, mean_baseline, trm, albef, vqa):
    kinds = [kind_of(weights) for weights in (qa, mean_baseline, trm, albef, vqa)]
    assert kinds == ["qa", "mean", "trm", "albef", "albef"]


def test_an_empty_position_table_is_not_interpolated():
    assert fit_positions("visual_encoder.pos_embed", torch.zeros(1, 0, 8), torch.Size((1, 5, 8))).shape == (1, 0, 8)
