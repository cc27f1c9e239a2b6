"""The one way to a network: whose sizes and weights it has, and how often a file is read for it."""

import pytest
import torch

import modules  # noqa: F401
from modules.checkpoints import reader
from modules.checkpoints.network import build_network, find_sizes
from modules.checkpoints.reader import read_checkpoint
from modules.inference.video_input import make_extractor
from modules.models.dest import DeST
from modules.models.settings import ModelSizes
from modules.models.video_swin import VideoSwin, get_sizes
from modules.objectives.temporal_referring import ReferringDeST
from modules.training.run_folder import find_checkpoint
from tests.modules.models.test_dest import SMALL

PARTS = {
    "bert_config": {"num_layers": 3, "num_text_layers": 1},
    "vit_config": {"vit_depth": 5},
    "answer_config": {"answer_layers": 2},
}


@pytest.fixture
def file(tmp_path):
    torch.save({"state_dict": DeST(SMALL).state_dict()}, tmp_path / "x.ckpt")
    return read_checkpoint(tmp_path / "x.ckpt")


def test_sizes_of_settings_go_before_those_of_the_file(file):
    own = find_sizes(file, {"max_pos_len": 7, "image_size": 32, **PARTS})
    assert (own.max_clips, own.image_size, own.num_layers, own.vit_depth, own.answer_layers) == (7, 32, 3, 5, 2)
    assert own.hidden_size == SMALL.hidden_size
    assert find_sizes(None, {}) == ModelSizes()


def test_weights_of_the_file(file, capsys):
    network = build_network(file, {"temporal": True, "drop_rate": 0.0, "objective": "qa"})
    assert network.drop_rate == 0.0
    assert all(torch.equal(weight, file.tensors[name]) for name, weight in network.state_dict().items())
    assert "started fresh  nothing" in capsys.readouterr().out


def test_random_weights_are_said(capsys):
    sizes = SMALL.as_dict() | {"max_pos_len": SMALL.max_clips}
    assert isinstance(build_network(None, sizes, ReferringDeST), ReferringDeST)
    assert capsys.readouterr().out == "no load_path: random weights\n"
    build_network(None, sizes, verbose=False)
    assert capsys.readouterr().out == ""


@pytest.fixture
def reads(monkeypatch):
    """The files whose weights are read."""
    paths, original = [], reader._pick_layout
    monkeypatch.setattr(reader, "_pick_layout", lambda path, *rest: paths.append(path) or original(path, *rest))
    return paths


def test_a_run_that_goes_on_reads_its_checkpoint_once(tmp_path, reads):
    path = tmp_path / "last.ckpt"
    content = {"state_dict": {"a": torch.ones(1)}, "loops": {}, "optimizer_states": [], "dest": {"sizes": {}}}
    torch.save(content, path)
    assert find_checkpoint(str(path), tmp_path, "a", 0).metadata == {"sizes": {}}
    assert reads == [path]


def test_video_swin_is_read_once(tmp_path, reads):
    path = tmp_path / "swin.pth"
    torch.save(VideoSwin(get_sizes("toy")).state_dict(), path)
    _, settings, notes = make_extractor(None, path, 128, "cpu")
    assert (settings.arch, notes, reads) == ("toy", [], [path])
