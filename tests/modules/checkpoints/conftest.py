"""Weights of every kind of checkpoint, of the smallest networks."""

import pytest
import torch

from modules.models.dest import DeST
from modules.models.referring import ReferringDeST
from tests.modules.models.test_dest import SMALL, lively

from .files import TRM_SIZES


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
    encoders = {name: weight for name, weight in qa.items() if name.startswith(("visual_encoder.", "text_encoder."))}
    weights = {name.replace("text_encoder.", "text_encoder.bert."): weight for name, weight in encoders.items()}
    weights |= {name.replace("_encoder.", "_encoder_m.", 1): weight + 1 for name, weight in weights.items()}
    for name in ("vision_proj", "text_proj", "vision_proj_m", "itm_head", "text_encoder.cls.predictions.transform"):
        weights |= {f"{name}.weight": torch.ones(256, 32), f"{name}.bias": torch.ones(256)}
    weights |= {"temp": torch.tensor(0.07), "image_queue": torch.ones(256, 8), "queue_ptr": torch.zeros(1).long()}
    return weights | {"text_encoder.bert.embeddings.position_ids": torch.arange(32)[None]}


@pytest.fixture(scope="module")
def vqa(qa) -> dict:
    """What ALBEF's VQA fine-tuning leaves: a decoder beside the two encoders."""
    weights = {name: weight for name, weight in qa.items() if name.startswith(("visual_encoder.", "text_encoder."))}
    return weights | {"text_decoder.bert.encoder.layer.0.output.dense.weight": torch.ones(32, 48)}
