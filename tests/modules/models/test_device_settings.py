"""What GPUs are told before a command computes anything; it can be read without one."""

import argparse

import pytest
import torch

import modules  # noqa: F401  (before torchvision)
import run  # noqa: F401  (brings the commands)
from config import run_command_line
from datasets.errors import InputError
from modules.models.device_settings import switch_devices
from preproc import extract_features
from tests.kit.small_world import make_small_world, settings


@pytest.fixture(autouse=True)
def as_before():
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    attention = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = False, True  # as PyTorch starts
    torch.backends.cuda.enable_cudnn_sdp(True)
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
    torch.backends.cuda.enable_cudnn_sdp(attention)


def switches() -> tuple[bool, bool, bool]:
    """TF32 in matrix products, in convolutions; cuDNN's attention."""
    backends = torch.backends
    return backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32, backends.cuda.cudnn_sdp_enabled()


@pytest.mark.parametrize("precision", [32, "32", 16, "16", "bf16"])
def test_float32_is_float32(precision):
    switch_devices("tf32")
    switch_devices(precision)
    assert switches() == (False, False, False)
    assert torch.get_float32_matmul_precision() == "highest"


def test_tf32():
    switch_devices("tf32")
    assert switches() == (True, True, False)
    # However PyTorch, or a library, asks.
    assert torch.get_float32_matmul_precision() == "high"
    assert torch.backends.cuda.matmul.fp32_precision == torch.backends.cudnn.conv.fp32_precision == "tf32"


def test_asking_and_training_switch_first(tmp_path, monkeypatch):
    seen = []

    def stop(*_, **__):
        seen.append(switches())
        torch.backends.cudnn.allow_tf32 = True
        raise InputError("seen")

    monkeypatch.setattr("modules.inference.predictor.Predictor.open", stop)
    monkeypatch.setattr("pytorch_lightning.seed_everything", stop)
    file, data = tmp_path / "x.pt", make_small_world(tmp_path)
    file.touch()
    machine = ["accelerator=cpu", "precision=32"]
    asked = [f"load_path={file}", f"video={file}", "question=why"]
    assert run_command_line(["ask", "with", *asked, *machine]) == 2
    assert run_command_line(["web", "with", f"load_path={file}", *machine]) == 2
    assert run_command_line(settings(data)) == 2
    assert seen == [(False, False, False)] * 3


def test_extraction_switches_first():
    options = argparse.Namespace(checkpoint=None, arch="toy", random_start=0, device="cpu", compile=False)
    options.precision = "32"
    extract_features.make_extractor(options)
    assert switches() == (False, False, False)
    options.precision = "tf32"
    with pytest.raises(InputError, match=r"^--precision tf32 needs a GPU; write --precision 32$"):
        extract_features.make_extractor(options)
