"""Matching: which weights of a file go where, what starts fresh, what is said, and what is refused."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from datasets.errors import InputError
from modules.checkpoints.loading import NEEDED_TO_TRAIN, load_weights
from modules.checkpoints.names import PARTS
from modules.models.dest import DeST
from modules.models.referring import ReferringDeST
from tests.modules.models.test_dest import SMALL

from .conftest import TRM_SIZES, assert_equal, file_of, load, starting


@pytest.mark.parametrize("wrapper", ["", "model.", "module.", "module.model.", "_forward_module.model.", "_orig_mod."])
def test_a_checkpoint_of_the_same_network_loads_whole(qa, wrapper):
    """Whatever wrappers put before the names; other number types are converted, integer buffers count for nothing."""
    network = DeST(SMALL)
    halves = {wrapper + name: weight.half() for name, weight in qa.items()}
    summary = load(network, halves | {"text_encoder.embeddings.position_ids": torch.arange(32)[None]})
    assert_equal(network, {name: weight.half().float() for name, weight in qa.items()})
    assert not summary.fresh and not summary.unused
    assert sum(summary.loaded.values()) == len(qa)
    assert set(summary.loaded) == set(PARTS) - {"contrastive heads"}


def test_pre_training_from_albef(albef, qa):
    network = ReferringDeST(TRM_SIZES)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    summary = load(network, albef, NEEDED_TO_TRAIN)
    assert_equal(network, qa, "visual_encoder.", "text_encoder.")
    assert_equal(network, before, "tau", "vision_proj.")  # ALBEF's have our names, but project other things
    assert set(summary.loaded) == set(NEEDED_TO_TRAIN)
    assert set(summary.fresh) == set(PARTS) - set(NEEDED_TO_TRAIN) - {"frame_head"}
    assert {"visual_encoder_m", "itm_head", "vision_proj", "text_encoder", "temp"} <= set(summary.unused)
    assert summary.unused["text_encoder"] == 2  # the head of its language model
    assert summary.unusual == []


@pytest.mark.parametrize("source", ["albef", "vqa", "mean_baseline"])
def test_the_temporal_stream_starts_from_the_text_encoder(source, request):
    network = DeST(SMALL)
    summary = load(network, request.getfixturevalue(source), NEEDED_TO_TRAIN)
    assert summary.fresh["temporal stream"] == "as a copy of text_encoder"
    text, temporal = network.text_encoder, network.temporal_encoder
    assert_equal(temporal.encoder, text.encoder.state_dict())
    positions, words = network.temporal_embedding.frame_pos_embed.weight, text.embeddings.position_embeddings.weight
    assert torch.equal(positions, words[: len(positions)]) and positions.data_ptr() != words.data_ptr()
    if source == "vqa":
        assert "the published recipe takes temporal stream, ans_encoder.lm from trm.ckpt" in str(summary)
        assert load(DeST(SMALL, temporal=False), request.getfixturevalue(source), NEEDED_TO_TRAIN).unusual == []


def test_fine_tuning_from_pre_training(trm, capsys):
    network = DeST(SMALL)
    fresh = {name: weight.clone() for name, weight in network.state_dict().items()}
    summary = load_weights(network, file_of(trm), NEEDED_TO_TRAIN)
    assert_equal(network, trm, "visual_encoder.", "text_encoder.", "temporal_", "ans_encoder.lm.")
    # Heads that end in another width start fresh as a whole: their halves were trained together.
    assert_equal(network, fresh, "frame_head.", "video_head.", "ans_encoder.pooler.")
    other = "12 wide in the file, 24 here"
    assert summary.fresh == {"frame_head": "not in the file", "video_head": other, "ans_encoder.pooler": other}
    assert summary.unused == {"video_head": 4, "ans_encoder": 4, "tau": 1, "vision_proj": 2, "text_proj": 2}
    assert f"frame_head (not in the file), video_head ({other})" in capsys.readouterr().out


def test_the_baseline_loads_from_both_kinds_of_qa_checkpoint(qa, mean_baseline):
    for weights in (mean_baseline, qa, {**mean_baseline, "video_head.0.weight": torch.ones(32, 32)}):
        network = DeST(SMALL, temporal=False)
        load(network, weights)
        assert_equal(network, weights)


def test_image_positions_for_another_size(qa):
    network = DeST(replace(SMALL, image_size=64))
    assert load(network, qa).adapted == ["visual_encoder.pos_embed from [1, 5, 32] to [1, 17, 32]"]
    theirs, ours = qa["visual_encoder.pos_embed"], network.visual_encoder.pos_embed
    grid = theirs[0, 1:].view(2, 2, 32).permute(2, 0, 1)[None]
    grid = F.interpolate(grid, size=(4, 4), mode="bicubic", align_corners=False)[0]
    assert torch.allclose(ours[0], torch.cat([theirs[0, :1], grid.flatten(1).T]), atol=1e-6)


def test_what_is_refused_leaves_the_network_as_it_was(qa, trm, vqa, mean_baseline):
    def refused(weights, *said, needed=None, **sizes):
        network = DeST(replace(SMALL, **sizes))
        before = {name: weight.clone() for name, weight in network.state_dict().items()}
        with pytest.raises(InputError, match=r"^x\.ckpt.*$") as error:
            load(network, weights, needed)
        assert_equal(network, before)
        assert [part for part in said if part not in str(error.value)] == [], error.value

    for number in (float("nan"), float("inf"), float("-inf")):
        broken = qa["frame_head.0.weight"].clone()
        broken[3, 4] = number
        refused({**qa, "frame_head.0.weight": broken}, "frame_head.0.weight holds numbers that are not finite")
    refused({**qa, "model.frame_head.0.bias": torch.ones(32)}, "holds frame_head.0.bias twice")
    longer = "temporal_embedding.frame_pos_embed.weight is [12, 32], here [22, 32]"
    for needed in (None, NEEDED_TO_TRAIN):
        refused(qa, longer, "12 positions", needed=needed, max_clips=20)
    refused(trm, "has no frame_head (", "frame_head.0.weight", "a TRM checkpoint", head_width=12)
    refused(vqa, "looks like an ALBEF file")
    refused(mean_baseline, "has no temporal stream", "a *_mean baseline")
    refused(starting(qa, "text_encoder.", "temp"), "has no visual_encoder (", needed=NEEDED_TO_TRAIN)
    hole = "temporal_encoder.encoder.layer.1."
    for needed in (None, NEEDED_TO_TRAIN):
        holes = {name: weight for name, weight in qa.items() if not name.startswith(hole)}
        refused(holes, "only some of temporal stream: 16 of ", f"{hole}attention.self.query.weight", needed=needed)
    refused({"backbone.patch_embed.proj.weight": torch.ones(2, 2)}, "none of its 1 weights", "Video Swin")
    refused({"layer1.0.conv1.weight": torch.ones(2, 2)}, "a file of another project")
