"""Reading: every format and layout gives the same weights; nothing in a file runs; every bad file is one line."""

import argparse
import os
import pickle
import re
import subprocess
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from datasets.errors import InputError
from modules.checkpoints.reader import read_checkpoint
from tests.kit.paths import ROOT
from tests.kit.processes import run_python

WEIGHTS = {"a.weight": torch.arange(6.0).view(2, 3), "position_ids": torch.arange(4), "tau": torch.tensor(0.07)}
FORMS = pytest.mark.parametrize("form", ["zip", "legacy"])


def save(content, path: Path, form="zip", protocol=2) -> Path:
    torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=form != "legacy")
    return path


def read_weights(path):
    file = read_checkpoint(path)
    assert list(file.tensors) == list(WEIGHTS)
    for name, weight in WEIGHTS.items():
        assert file.tensors[name].dtype == weight.dtype and torch.equal(file.tensors[name], weight)
    return file


def refused(path, said):
    with pytest.raises(InputError) as error:
        read_checkpoint(path)
    message = str(error.value)
    assert "\n" not in message and str(path) in message and said in message, message


@FORMS
@pytest.mark.parametrize("layout", ["", "state_dict", "model"])
def test_formats_and_layouts(tmp_path, form, layout):
    content = {layout: OrderedDict(WEIGHTS), "epoch": 3} if layout else OrderedDict(WEIGHTS)
    file = read_weights(save(content, tmp_path / "x.ckpt", form))
    assert (file.format, file.layout, file.others) == (form, layout, {"epoch": 3} if layout else {})


def test_safetensors_whatever_the_suffix(tmp_path):
    save_file(WEIGHTS, tmp_path / "x.ckpt", {"dest": '{"vocabulary": ["no", "yes"]}'})
    file = read_weights(tmp_path / "x.ckpt")
    assert (file.format, file.metadata) == ("safetensors", {"vocabulary": ["no", "yes"]})


@FORMS
def test_what_lightning_and_sacred_put_beside_the_weights(tmp_path, monkeypatch, form):
    """Is read as plain values, and imports neither."""
    import config  # noqa: F401, I001  # with what Sacred needs
    from sacred.config.custom_containers import make_read_only

    def foreign(name: str, *bases: type) -> type:
        """A class under the name of another, so that pickle writes that name."""
        module, _, short = name.rpartition(".")
        cls = type(short, bases, {"__module__": module})
        monkeypatch.setattr(name, cls, raising=False)
        return cls

    model_checkpoint = foreign("pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint")
    attribute_dict = foreign("pytorch_lightning.utilities.parsing.AttributeDict", dict)
    content = {
        "state_dict": OrderedDict(WEIGHTS),
        "hyper_parameters": attribute_dict(config=make_read_only({"lr": 1e-5, "datasets": ["anetqa"]})),
        "callbacks": {model_checkpoint: {"best_model_score": torch.tensor(0.4), "dirpath": Path("result/x")}},
        "args": argparse.Namespace(seed=0),
        "scores": [np.float64(0.25), np.float32(0.5), np.int64(-3), np.uint8(7), np.bool_(True), np.float16(2)],
        "torch": torch.__version__,
    }
    others = read_weights(save(content, tmp_path / "x.ckpt", form)).others
    assert others["hyper_parameters"] == {"config": {"lr": 1e-5, "datasets": ["anetqa"]}}
    assert type(others["hyper_parameters"]) is dict
    ((callback, state),) = others["callbacks"].items()
    assert callback.__name__ == "ModelCheckpoint" and callback is not model_checkpoint
    assert (state["dirpath"], others["args"].seed, others["torch"]) == ("result/x", 0, str(torch.__version__))
    assert others["scores"] == [0.25, 0.5, -3, 7, True, 2.0]
    if form == "zip":
        code = "import sys; from modules.checkpoints.reader import read_checkpoint; read_checkpoint(sys.argv[1]);"
        code += "sys.exit('pytorch_lightning' in sys.modules or 'sacred' in sys.modules)"
        assert run_python("-c", code, tmp_path / "x.ckpt").returncode == 0


class Attack:
    """Unpickled by Python's own pickle, this calls a function."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("form", ["zip 2", "zip 4", "legacy 2", "pickle 0", "pickle 2", "pickle 4"])
def test_code_is_refused_and_does_not_run(tmp_path, form):
    path, witness = tmp_path / "x.ckpt", tmp_path / "ran"
    name, opening = str(witness), f"open({str(witness)!r}, 'w')"
    calls = [(os.system, f"touch {name}"), (subprocess.Popen, ["touch", name]), (open, name, "w"), (eval, opening)]
    calls += [(exec, opening), (getattr, "x", "upper"), (__import__, "antigravity"), (Path.touch, witness)]
    calls += [(torch.load, name), (torch.save, 1, name), (np.save, name, np.zeros(1))]
    kind, protocol = form.split()
    for attack in (Attack(*call) for call in calls):
        deep = {"state_dict": {**WEIGHTS, "b": [({"c": [argparse.Namespace(d=attack)]},)]}}
        for content in (attack, {"state_dict": WEIGHTS, "callbacks": {attack: 1}}, deep):
            if kind == "pickle":
                path.write_bytes(pickle.dumps(content, int(protocol)))
            else:
                save(content, path, kind, int(protocol))
            # Where torch.save writes like this, the reason is told.
            refused(path, "is refused: it asks for " if form in ("zip 2", "legacy 2") else "")
            assert not witness.exists(), attack.call


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>404</html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "Git LFS pointer"),
        ({"epoch": 1, "lr": 0.1}, "holds no weights (its entries: epoch, lr)"),
        ({"state_dict": {}}, "holds no weights"),
    ],
)
def test_files_that_are_no_checkpoint(tmp_path, content, said):
    path = tmp_path / "x.ckpt"
    refused(path, "does not exist")
    path.write_bytes(content) if isinstance(content, bytes) else save(content, path)
    refused(path, said)
    refused(tmp_path, "Is a directory")


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_damaged(tmp_path, form):
    path, weights = tmp_path / "x.ckpt", {"a": torch.randn(200, 50)}
    save_file(weights, path) if form == "safetensors" else save(weights, path, form)
    whole = path.read_bytes()
    broken = [whole[: max(12, int(len(whole) * share))] for share in (0.001, 0.01, 0.3, 0.5, 0.9, 0.999)]
    if form == "zip":  # which has checksums: a changed byte of a weight
        middle = len(whole) // 2
        broken.append(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    for content in broken:
        path.write_bytes(content)
        refused(path, "truncated or damaged")


def test_no_other_code_reads_pickles_or_builds_commands_for_a_shell():
    unsafe = r"torch\.load\((?!.*weights_only=True)|pickle\.load|pickle\.Unpickler|allow_pickle=True|read_pickle"
    unsafe += r"|joblib\.load|yaml\.load\(|shell=True|os\.system\(|os\.popen\("
    sources = list(ROOT.glob("*.py"))
    for folder in ("datamodules", "datasets", "modules", "preproc"):
        sources += (ROOT / folder).rglob("*.py")
    for source in sources:
        assert not re.findall(unsafe, source.read_text(encoding="utf-8")), source
