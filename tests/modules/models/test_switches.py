"""What GPUs are told before a command computes anything; it can be read without one."""

import argparse

import pytest
import torch

import modules  # noqa: F401  (before torchvision)
import run  # noqa: F401  (brings the commands)
from config import run_command_line
from datasets.errors import InputError
from modules.models.precision import switch_devices
from preproc import extract_features
from tests.kit.small_world import make_small_world, settings

cuda, cudnn = torch.backends.cuda, torch.backends.cudnn


def switches() -> tuple[bool, bool, bool]:
    """TF32 in matrix products, in convolutions; cuDNN's attention."""
    return cuda.matmul.allow_tf32, cudnn.allow_tf32, cuda.cudnn_sdp_enabled()


@pytest.mark.parametrize("precision", [32, "32", 16, "16", "bf16"])
def test_float32_is_float32_unless_tf32_is_wanted(precision):
    cuda.enable_cudnn_sdp(True)
    switch_devices("tf32")
    assert switches() == (True, True, False)
    # However PyTorch, or a library, asks.
    assert torch.get_float32_matmul_precision() == "high"
    assert cuda.matmul.fp32_precision == cudnn.conv.fp32_precision == "tf32"
    switch_devices(precision)
    assert switches() == (False, False, False)
    assert torch.get_float32_matmul_precision() == "highest"


def test_commands_switch_first(tmp_path, monkeypatch):
    seen, file = [], tmp_path / "x.pt"
    file.touch()

    def stop(*_, **__):
        seen.append(switches())
        raise InputError("seen")

    monkeypatch.setattr("modules.inference.predictor.Predictor.open", stop)
    monkeypatch.setattr("pytorch_lightning.seed_everything", stop)
    asked = ["with", f"load_path={file}", "accelerator=cpu", "precision=32"]
    options = argparse.Namespace(checkpoint=None, arch="toy", random_start=0, device="cpu", compile=False)
    options.precision = "32"
    for words in (["ask", *asked, f"video={file}", "question=why"], settings(make_small_world(tmp_path))):
        cudnn.allow_tf32 = True
        assert run_command_line(words) == 2
    cudnn.allow_tf32 = True
    extract_features.make_extractor(options)
    assert [*seen, switches()] == [(False, False, False)] * 3
