import json
import pickle
import re
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch

from datamodules.qa import QADataModule
from datasets.errors import InputError

from .conftest import write_split


@pytest.fixture
def module(qa_settings):
    def make(stage=None, **changes) -> QADataModule:
        data = QADataModule(**qa_settings | changes)
        if stage:
            data.setup(stage)
        return data

    return make


def test_batches_of_the_test_split(module):
    batches = list(module("test").test_dataloader())
    # videos of 1, 6, 2 questions; at most 4 a batch
    assert [batch["questions"].per_video for batch in batches] == [[1], [6], [2]]
    assert batches[1]["qids"] == [f"test1_{turn}" for turn in range(6)]
    batch = batches[1]  # of the eighth video of all: frames 70..73, clips 7.0, 7.1
    assert batch["frames"][0, :, 0, 0, 0].tolist() == [70, 72]  # spans 0-1 and 2-3
    assert batch["clips"][0, :, 0].tolist() == pytest.approx([7.0, 7.1])
    assert batch["clip_mask"].tolist() == [[True, True]]
    assert batch["labels"].tolist() == [1, 2, 3, 0, 1, 2]
    assert batch["questions"].ids[:2].tolist() == [[2, 6, 12, 3, 0], [2, 5, 7, 8, 3]]
    _, second = module("validate").val_dataloader()
    assert second["clips"][0, :, 0].tolist() == pytest.approx([5.0, 5.1])  # of 3: spans 0 and 1-2


def test_a_stage_needs_only_its_own_files(module, qa_root):
    for name in ("train.csv", "val.csv"):
        (qa_root / name).unlink()
    shutil.rmtree(qa_root / "frames" / "v_train0")
    (qa_root / "anetqa.h5").unlink()
    data = module("predict", temporal=False)
    assert "clips" not in next(iter(data.predict_dataloader()))
    with pytest.raises(InputError, match=str(qa_root / "train.csv")):
        data.setup("fit")


def test_workers_are_sent_little_and_import_nothing_that_takes_seconds(module):
    assert len(pickle.dumps(module("validate").val_dataloader()._loader.dataset.dataset)) < 20_000
    code = "import sys, datamodules.batch, datamodules.loaders; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pytorch_lightning", "transformers", "timm", "torchvision"} & set(imported)


def test_what_is_refused(module, qa_root):
    def refused(said, stage="test"):
        with pytest.raises(InputError, match=said):
            module(stage)

    with h5py.File(qa_root / "anetqa.h5", "a") as features:
        for video_id in ("test0", "test2"):
            del features[video_id]
    refused(r"^2 of the 3 videos of test\.csv .* clip features in .*anetqa\.h5 \(test0, test2\)")
    with h5py.File(qa_root / "anetqa.h5", "a") as features:
        for video_id in ("test0", "test2"):
            features[video_id] = np.zeros((2, 6), np.float32)
    refused(r"^2 of the 3 videos of test\.csv .* \(test0, test2\); .*anetqa\.h5, 'test0': float32 of shape \(2, 6\)")
    folder = qa_root / "frames" / "v_test1"
    folder.rename(qa_root / "away")
    refused(r"^1 of the 3 videos of test\.csv have no frames in .*frames \(test1\)")
    folder.mkdir()
    refused(r"^1 of the 3 videos of test\.csv .* \(test1\); no frames .*v_test1;")
    (qa_root / "anetqa.h5").unlink()
    refused(str(qa_root / "anetqa.h5"), "validate")


def test_answers_outside_the_vocabulary(module, qa_root):
    (qa_root / "vocab.json").write_text(json.dumps({"dog": 0, "cat": 1, "yes": 2}))
    labels = torch.cat([batch["labels"] for batch in module("test").test_dataloader()])
    assert labels[0] == 2 and labels.tolist().count(-100) == 2  # counted as wrong
    with pytest.raises(InputError, match=r"train\.csv has 1 answers outside the vocabulary of 3, such as 'no'"):
        module("fit")
    with pytest.raises(InputError, match=r"val\.csv \(such as 'cat'\) is in the vocabulary of 1"):
        module("validate", vocabulary=["blue"])


def test_splits_without_answers(module, qa_root, capsys):
    write_split(qa_root, "val", [""])
    write_split(qa_root, "test", ["", "unknown"])
    module("fit")
    assert re.search("warning: no question in .*val.csv has an answer", capsys.readouterr().out)
    batches = module("predict", vocabulary=["blue"]).predict_dataloader()
    assert re.search(r"warning: .*test.csv \(such as 'unknown'\)", capsys.readouterr().out)
    assert {label for batch in batches for label in batch["labels"].tolist()} == {-100}


def test_what_frames_and_features_were_made_with(module, qa_root):
    assert module().preprocessing == {"frames": None, "clips": None}
    (qa_root / "frames" / ".extract_frames.json").write_text('{"fps": 3.0, "counts": {"v_a": 7}}')
    with h5py.File(qa_root / "anetqa.h5", "a") as features:
        features.attrs["arch"], features.attrs["clip_len"] = '"tiny"', "16"
    assert module().preprocessing == {"frames": {"fps": 3.0}, "clips": {"arch": "tiny", "clip_len": 16}}
