"""Weights of every kind of checkpoint, of the smallest networks, and their way into a network."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from modules.checkpoints.loading import load_weights
from modules.checkpoints.reader import CheckpointFile
from modules.models.dest import DeST
from modules.models.referring import ReferringDeST
from tests.modules.models.test_dest import SMALL, lively

TRM_SIZES = replace(SMALL, head_width=12)


def file_of(weights) -> CheckpointFile:
    return CheckpointFile(Path("x.ckpt"), "zip", "", dict(weights))


def load(network, weights, needed=None):
    return load_weights(network, file_of(weights), needed, verbose=False)


def assert_equal(network, weights, *starts):
    own = {name: weight for name, weight in network.state_dict().items() if name.startswith(starts or "")}
    assert own and all(
        weight.dtype == weights[name].dtype and torch.equal(weight, weights[name]) for name, weight in own.items()
    )


def starting(weights, *starts):
    return {name: weight for name, weight in weights.items() if name.startswith(starts)}


@pytest.fixture(scope="module")
def qa() -> dict:
    return lively(DeST(SMALL)).state_dict()


@pytest.fixture(scope="module")
def mean_baseline() -> dict:
    return lively(DeST(SMALL, temporal=False)).state_dict()


@pytest.fixture(scope="module")
def trm() -> dict:
    return lively(ReferringDeST(TRM_SIZES)).state_dict()


@pytest.fixture(scope="module")
def albef(qa) -> dict:
    """What ALBEF's pre-training leaves: its own heads, momentum copies and queues beside the two encoders."""
    encoders = starting(qa, "visual_encoder.", "text_encoder.")
    weights = {name.replace("text_encoder.", "text_encoder.bert."): weight for name, weight in encoders.items()}
    weights |= {name.replace("_encoder.", "_encoder_m.", 1): weight + 1 for name, weight in weights.items()}
    for name in ("vision_proj", "text_proj", "vision_proj_m", "itm_head", "text_encoder.cls.predictions.transform"):
        weights |= {f"{name}.weight": torch.ones(256, 32), f"{name}.bias": torch.ones(256)}
    weights |= {"temp": torch.tensor(0.07), "image_queue": torch.ones(256, 8), "queue_ptr": torch.zeros(1).long()}
    return weights | {"text_encoder.bert.embeddings.position_ids": torch.arange(32)[None]}


@pytest.fixture(scope="module")
def vqa(qa) -> dict:
    """What ALBEF's VQA fine-tuning leaves: a decoder beside the two encoders."""
    decoder = {"text_decoder.bert.encoder.layer.0.output.dense.weight": torch.ones(32, 48)}
    return starting(qa, "visual_encoder.", "text_encoder.") | decoder
