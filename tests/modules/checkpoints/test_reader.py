"""Reading: every format and layout gives the same weights; nothing in a file runs; every bad file is one clear line."""

import argparse
import io
import os
import pickle
import pickletools
import re
import subprocess
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from datasets.errors import InputError
from modules.checkpoints.reader import read_checkpoint
from tests.kit.paths import ROOT

WEIGHTS = {"a.weight": torch.arange(6.0).view(2, 3), "tau": torch.tensor(0.07), "position_ids": torch.arange(4)}


def assert_same(tensors):
    assert list(tensors) == list(WEIGHTS)
    for name, tensor in WEIGHTS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def refusal(path) -> str:
    with pytest.raises(InputError) as error:
        read_checkpoint(path)
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("layout", ["", "state_dict", "model"])
def test_formats_and_layouts(tmp_path, legacy, layout):
    path = tmp_path / "x.ckpt"
    content = {layout: OrderedDict(WEIGHTS), "epoch": 3} if layout else OrderedDict(WEIGHTS)
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    file = read_checkpoint(path)
    assert (file.format, file.layout) == ("legacy" if legacy else "zip", layout)
    assert file.others == ({"epoch": 3} if layout else {})
    assert_same(file.tensors)


def test_safetensors_whatever_the_suffix(tmp_path):
    save_file(WEIGHTS, tmp_path / "x.ckpt", {"dest": '{"vocabulary": ["no", "yes"]}'})
    file = read_checkpoint(tmp_path / "x.ckpt")
    assert file.format == "safetensors"
    assert file.metadata == {"vocabulary": ["no", "yes"]}
    assert sorted(file.tensors) == sorted(WEIGHTS)


# --- what Lightning and Sacred put beside the weights ----------------------------------------------------------------


@pytest.fixture
def foreign_classes(monkeypatch):
    """Classes under the names that Lightning 1.x and Sacred give theirs, so that pickle writes those names."""

    def declare(module: str, name: str, cls: type) -> type:
        parts = module.split(".")
        for count in range(1, len(parts) + 1):
            parent = ".".join(parts[:count])
            if parent not in sys.modules:
                monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
        cls.__module__, cls.__qualname__, cls.__name__ = module, name, name
        monkeypatch.setattr(sys.modules[module], name, cls, raising=False)
        return cls

    return declare


@pytest.mark.parametrize("legacy", [False, True])
def test_lightning_1_checkpoint_with_sacred_config(tmp_path, foreign_classes, legacy):
    from sacred.config.custom_containers import make_read_only

    import config  # noqa: F401  # with what Sacred needs

    model_checkpoint = foreign_classes(
        "pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint", type("ModelCheckpoint", (), {})
    )
    attribute_dict = foreign_classes(
        "pytorch_lightning.utilities.parsing", "AttributeDict", type("AttributeDict", (dict,), {})
    )
    content = {
        "state_dict": OrderedDict(WEIGHTS),
        "pytorch-lightning_version": "1.5.10",
        "hparams_name": "config",
        "hyper_parameters": attribute_dict(config=make_read_only({"lr": 1e-5, "datasets": ["anetqa"]})),
        "callbacks": {model_checkpoint: {"best_model_score": torch.tensor(0.4), "dirpath": Path("result/x")}},
        "args": argparse.Namespace(seed=0),
        "scores": [np.float64(0.25), np.float32(0.5), np.int64(-3), np.uint8(7), np.bool_(True), np.float16(2)],
        "torch": torch.__version__,
    }
    torch.save(content, tmp_path / "x.ckpt", _use_new_zipfile_serialization=not legacy)
    file = read_checkpoint(tmp_path / "x.ckpt")
    assert_same(file.tensors)
    others = file.others
    assert others["hyper_parameters"] == {"config": {"lr": 1e-5, "datasets": ["anetqa"]}}
    assert type(others["hyper_parameters"]) is dict
    ((callback, state),) = others["callbacks"].items()
    assert callback.__name__ == "ModelCheckpoint"
    assert callback is not model_checkpoint
    assert state["dirpath"] == "result/x"
    assert others["args"].seed == 0
    assert others["scores"] == [0.25, 0.5, -3, 7, True, 2.0]
    assert others["torch"] == str(torch.__version__)


def test_reading_imports_nothing_for_stand_ins(tmp_path, foreign_classes):
    cls = foreign_classes("lightning.pytorch.utilities.parsing", "AttributeDict", type("AttributeDict", (dict,), {}))
    torch.save({"state_dict": WEIGHTS, "hyper_parameters": cls(a=1)}, tmp_path / "x.ckpt")
    code = (
        "import sys; from modules.checkpoints.reader import read_checkpoint;"
        f"read_checkpoint({str(tmp_path / 'x.ckpt')!r});"
        "sys.exit('lightning' in sys.modules or 'sacred' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120).returncode == 0


# --- files made to run code ------------------------------------------------------------------------------------------


class Attack:
    """Unpickled by Python's own pickle, this calls a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def attacks(witness: Path):
    command = f"touch {witness}"
    yield "system", Attack(os.system, command)
    yield "Popen", Attack(subprocess.Popen, ["touch", str(witness)])
    yield "eval", Attack(eval, f"open({str(witness)!r}, 'w')")
    yield "exec", Attack(exec, f"open({str(witness)!r}, 'w')")
    yield "open", Attack(open, str(witness), "w")
    yield "getattr", Attack(getattr, "x", "upper")
    yield "import_module", Attack(__import__, "antigravity")
    yield "Path.touch", Attack(Path.touch, witness)
    yield "torch.load", Attack(torch.load, str(witness))
    yield "torch.save", Attack(torch.save, 1, str(witness))
    yield "np.save", Attack(np.save, str(witness), np.zeros(1))


PLACES = {
    "alone": lambda attack: attack,
    "beside the weights": lambda attack: {"state_dict": WEIGHTS, "hyper_parameters": attack},
    "among the weights": lambda attack: {"state_dict": {**WEIGHTS, "b": attack}},
    "as a key": lambda attack: {"state_dict": WEIGHTS, "callbacks": {attack: 1}},
    "deep inside": lambda attack: {"state_dict": WEIGHTS, "a": [{"b": ({"c": [argparse.Namespace(d=attack)]},)}]},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "form", ["zip", "legacy", "pickle", "pickle protocol 0", "pickle protocol 4", "zip protocol 4"]
)
def test_code_is_refused_and_does_not_run(tmp_path, form, place):
    witness = tmp_path / "ran"
    for index, (name, attack) in enumerate(attacks(witness)):
        path = tmp_path / f"{index}.ckpt"
        content = PLACES[place](attack)
        if form.startswith("pickle"):
            protocol = int(form[-1]) if form[-1].isdigit() else 2
            path.write_bytes(pickle.dumps(content, protocol=protocol))
        else:
            protocol = 4 if form.endswith("4") else 2
            torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=form != "legacy")
        message = refusal(path)
        assert not witness.exists(), name
        if form in ("zip", "legacy"):  # as torch.save writes them: the reason is told
            assert "is refused: it asks for " in message, message


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_the_offending_class_is_named(tmp_path, form):
    torch.save({"model": torch.nn.Linear(2, 2)}, tmp_path / "x.pth", _use_new_zipfile_serialization=form == "zip")
    assert "torch.nn.modules.linear.Linear" in refusal(tmp_path / "x.pth")
    torch.save({"model": Attack(os.system, "true")}, tmp_path / "y.pth", _use_new_zipfile_serialization=form == "zip")
    assert "posix.system" in refusal(tmp_path / "y.pth")


def test_code_in_the_records_around_the_weights(tmp_path):
    """The legacy format starts with three small pickles and ends with one; each of them could be the attack."""
    witness = tmp_path / "ran"
    whole = io.BytesIO()
    torch.save({"state_dict": WEIGHTS}, whole, _use_new_zipfile_serialization=False)
    whole.seek(0)
    ends = []
    for _ in range(5):
        list(pickletools.genops(whole))
        ends.append(whole.tell())
    whole = whole.getvalue()
    attack = pickle.dumps(Attack(os.system, f"touch {witness}"), protocol=2)
    header = pickle.dumps(torch.serialization.MAGIC_NUMBER, protocol=2)
    header_2 = header + pickle.dumps(torch.serialization.PROTOCOL_VERSION, protocol=2)
    for index, content in enumerate(
        (attack, header + attack, header_2 + attack, whole[: ends[3]] + attack + whole[ends[4] :])
    ):
        path = tmp_path / f"{index}.pth"
        path.write_bytes(content)
        refusal(path)
        assert not witness.exists()


def test_a_stand_in_cannot_be_turned_into_something_else(tmp_path):
    """A NumPy type of objects would unpickle a second time; the stand-in knows numbers only."""
    torch.save({"state_dict": WEIGHTS, "x": np.array(["a"])[0]}, tmp_path / "x.ckpt")
    assert "truncated or damaged" in refusal(tmp_path / "x.ckpt")


# --- files that are no checkpoint ------------------------------------------------------------------------------------


@pytest.fixture
def whole(tmp_path):
    path = tmp_path / "whole.ckpt"
    torch.save({"state_dict": {"a": torch.randn(200, 50)}, "b": list(range(1000))}, path)
    return path


def test_no_file_directory_empty_text(tmp_path):
    assert "does not exist" in refusal(tmp_path / "no.ckpt")
    assert "Is a directory" in refusal(tmp_path)
    for content, said in (
        (b"", "is empty"),
        (b"weights: here\n", "neither a file written by torch.save nor .safetensors"),
        (b"<!DOCTYPE html><html>404</html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "Git LFS pointer"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "neither a file written by torch.save nor .safetensors"),
        (b"\x1f\x8b\x08\x00" + bytes(100), "neither a file written by torch.save nor .safetensors"),
    ):
        path = tmp_path / "x.ckpt"
        path.write_bytes(content)
        assert said in refusal(path)


def test_unreadable(tmp_path, whole):
    if os.geteuid() == 0:
        pytest.skip("the superuser reads everything")
    whole.chmod(0)
    assert "Permission denied" in refusal(whole)


@pytest.mark.parametrize("fraction", [0.001, 0.01, 0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_truncated(tmp_path, fraction, form):
    path = tmp_path / "x.ckpt"
    if form == "safetensors":
        save_file({"a": torch.randn(200, 50)}, path)
    else:
        torch.save({"a": torch.randn(200, 50)}, path, _use_new_zipfile_serialization=form == "zip")
    content = path.read_bytes()
    path.write_bytes(content[: max(12, int(len(content) * fraction))])
    assert "truncated or damaged" in refusal(path)


def test_a_changed_byte_of_a_weight_is_noticed(whole):
    content = bytearray(whole.read_bytes())
    content[len(content) // 2] ^= 1
    whole.write_bytes(content)
    assert "truncated or damaged" in refusal(whole)


def test_a_file_saved_without_checksums(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(WEIGHTS, tmp_path / "x.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert_same(read_checkpoint(tmp_path / "x.pth").tensors)


def test_other_zip_files(tmp_path, whole):
    path = tmp_path / "x.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "no file of weights" in refusal(path)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert torch.equal(read_checkpoint(path).tensors["a"], read_checkpoint(whole).tensors["a"])


def test_no_weights(tmp_path):
    path = tmp_path / "x.ckpt"
    for content, said in (
        ({"epoch": 1, "lr": 0.1}, "holds no weights (its entries: epoch, lr)"),
        ({}, "holds no weights (its entries: none)"),
        ({"state_dict": {}}, "holds no weights"),
        ([1, 2], "holds one list, not weights with names"),
        (torch.zeros(3), "holds one Tensor, not weights with names"),
    ):
        torch.save(content, path)
        assert said in refusal(path)


def test_random_damage_is_never_more_than_one_line(whole):
    content = whole.read_bytes()
    random = np.random.default_rng(0)
    for form in range(60):
        broken = bytearray(content)
        for position in random.integers(0, len(content), 1 + form % 5):
            broken[position] = random.integers(256)
        if form % 3 == 0:
            del broken[int(random.integers(len(broken))) :]
        whole.write_bytes(broken)
        try:
            read_checkpoint(whole)
        except InputError as error:
            assert "\n" not in str(error)


def test_no_other_code_reads_pickles_or_builds_commands_for_a_shell():
    sources = [*ROOT.glob("*.py")]
    for folder in ("datamodules", "datasets", "modules", "preproc"):
        sources += (ROOT / folder).rglob("*.py")
    assert sources
    for source in sources:
        text = source.read_text(encoding="utf-8")
        for call in re.findall(r"torch\.load\(.*", text):
            assert "weights_only=True" in call, f"{source}: {call}"
        for unsafe in (
            "pickle.load",
            "pickle.Unpickler",
            "allow_pickle=True",
            "read_pickle",
            "joblib.load",
            "yaml.load(",
            "shell=True",
            "os.system(",
            "os.popen(",
        ):
            assert unsafe not in text, f"{source}: {unsafe}"
