"""The data module: what a stage needs, batches, resuming, and what is refused."""

import json
import pickle
import re
import shutil
import subprocess
import sys
from collections import Counter

import h5py
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from datamodules.batch import QACollate
from datamodules.loaders import ResumableLoader
from datamodules.qa import QADataModule
from datasets.errors import InputError

from .conftest import ANSWERS, QUESTIONS, write_split


@pytest.fixture
def module(qa_settings):
    """Makes a data module, with some arguments changed."""

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
    assert batches[0]["qids"] == ["test0_0"]
    assert batches[1]["qids"] == [f"test1_{turn}" for turn in range(6)]
    batch = batches[1]  # of the eighth video of all: frames 70..73, clips 7.0, 7.1
    assert batch["frames"].shape == (1, 2, 3, 8, 8)
    assert batch["frames"][0, :, 0, 0, 0].tolist() == [70, 72]  # spans 0-1 and 2-3
    assert batch["clips"][0, :, 0].tolist() == pytest.approx([7.0, 7.1])
    assert batch["clip_mask"].tolist() == [[True, True]]
    assert batch["labels"].tolist() == [1, 2, 3, 0, 1, 2]
    assert batch["questions"].ids[:2].tolist() == [[2, 6, 12, 3, 0], [2, 5, 7, 8, 3]]
    _, second = module("validate").val_dataloader()
    assert second["clips"][0, :, 0].tolist() == pytest.approx([5.0, 5.1])  # of 3: spans 0 and 1-2


def test_training_batches(module):
    data = module("fit", questions_per_video=2, num_workers=1)
    loader = data.train_dataloader()
    data.start = (1, 0)
    batches = list(loader)
    expected = [f"train{video}_{turn}" for video, count in enumerate(QUESTIONS["train"]) for turn in range(count)]
    assert sorted(qid for batch in batches for qid in batch["qids"]) == sorted(expected)
    for batch in batches:
        num_videos = len({qid.split("_")[0] for qid in batch["qids"]})
        assert len(batch["frames"]) == len(batch["questions"].per_video) == num_videos
    data.start = (1, 2)
    assert [batch["qids"] for batch in loader] == [batch["qids"] for batch in batches[2:]]
    data.start = (2, 0)
    assert [batch["qids"] for batch in loader] != [batch["qids"] for batch in batches]


def test_vocabulary_and_answers(module):
    data = module()
    assert data.vocabulary == ANSWERS and data.source.name == "anetqa"
    assert data.answer_ids.tolist() == [[2, 1, 3], [2, 1, 3], [2, 10, 3], [2, 11, 3]]
    assert data.answer_mask.sum() == 12
    assert module(vocabulary=["dog"]).vocabulary == ["dog"]


def test_a_stage_needs_only_its_own_files(module, qa_root):
    (qa_root / "anetqa.h5").rename(qa_root / "away.h5")
    assert "clips" not in next(iter(module("test", temporal=False).test_dataloader()))
    (qa_root / "away.h5").rename(qa_root / "anetqa.h5")
    for name in ("train.csv", "val.csv"):
        (qa_root / name).unlink()
    shutil.rmtree(qa_root / "frames" / "v_train0")
    data = module("predict")
    assert len(data.predict_dataloader()) == 3
    with pytest.raises(InputError, match=str(qa_root / "train.csv")):
        data.setup("fit")


def test_what_workers_need_is_small_and_light(module):
    """Spawned workers get the same batches, and import nothing that takes seconds."""
    data = module("validate")
    dataset, batches = data.val_dataloader()._loader.dataset.dataset, data.val_dataloader().batches
    assert len(pickle.dumps(dataset)) < 20_000
    (spawned, _), (here, _) = (
        list(ResumableLoader(dataset, QACollate(data.tokenizer), batches, workers, multiprocessing_context="spawn"))
        for workers in (1, 0)
    )
    assert spawned["qids"] == here["qids"]
    assert all((spawned[key] == here[key]).all() for key in ("frames", "clips", "labels"))
    code = "import sys, datamodules.batch, datamodules.loaders; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pytorch_lightning", "transformers", "timm", "torchvision"} & set(imported)


def test_what_is_refused(module, qa_root):
    def refused(said, stage="test", **changes):
        with pytest.raises(InputError, match=said):
            module(stage, **changes)

    refused("'anet'.*'anetqa'", datasets=["anet"])
    with h5py.File(qa_root / "anetqa.h5", "a") as features:
        for video_id in ("test0", "test2"):
            del features[video_id]
            features[video_id] = np.zeros((2, 6), np.float32)
    refused(r"^2 of the 3 videos of test\.csv .* \(test0, test2\); .*anetqa\.h5, 'test0': float32 of shape \(2, 6\)")
    for frame in (qa_root / "frames" / "v_test1").iterdir():
        frame.unlink()
    refused(r"^1 of the 3 videos of test\.csv .* \(test1\); no frames .*v_test1;")
    (qa_root / "frames" / "v_test1").rmdir()
    refused(r"^1 of the 3 videos of test\.csv have no frames in .*frames \(test1\)")
    module("validate")
    (qa_root / "anetqa.h5").unlink()
    refused(str(qa_root / "anetqa.h5"), "validate")
    shutil.rmtree(qa_root / "frames")
    refused(str(qa_root / "frames"))


def test_answers_outside_the_vocabulary(module, qa_root):
    (qa_root / "vocab.json").write_text(json.dumps({"dog": 0, "cat": 1, "yes": 2}))
    labels = torch.cat([batch["labels"] for batch in module("test").test_dataloader()])
    assert labels[0] == 2 and labels.tolist().count(-100) == 2  # counted as wrong
    with pytest.raises(InputError, match=r"train\.csv has 1 answers outside the vocabulary of 3, such as 'no'"):
        module("fit")
    with pytest.raises(InputError, match=r"val\.csv \(such as 'cat'\) is in the vocabulary of 1"):
        module("validate", vocabulary=["blue"])


@pytest.mark.parametrize(
    ("split", "answers", "changes", "said"),
    [
        ("val", [""], {}, "warning: no question in .*val.csv has an answer"),
        ("val", ["", "dog"], {}, "^$"),
        # Nothing depends on them, so that they are no reason to refuse, but hardly meant so.
        ("test", ["", "unknown"], {"vocabulary": ["blue"]}, r"warning: .*test.csv \(such as 'unknown'\)"),
        ("test", [""], {}, "^$"),
    ],
)
def test_splits_without_answers(module, qa_root, capsys, split, answers, changes, said):
    write_split(qa_root, split, QUESTIONS[split], answers=answers)
    data = module("fit" if split == "val" else "predict", **changes)
    assert re.search(said, capsys.readouterr().out)
    if split == "test":
        assert {label for batch in data.predict_dataloader() for label in batch["labels"].tolist()} == {-100}


class Recorder(pl.LightningModule):
    """Learns one number, and notes what it is shown."""

    def __init__(self, stop_after: int | None = None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.stop_after = stop_after
        self.seen = []
        self.tested = []

    def training_step(self, batch, batch_idx):
        if self.stop_after is not None and len(self.seen) == self.stop_after:
            raise RuntimeError("killed")
        self.seen.append((self.current_epoch, batch_idx, batch["qids"], batch["frames"].sum().item()))
        return (self.weight - batch["labels"].float().mean()) ** 2

    def validation_step(self, batch, batch_idx):
        self.tested += batch["qids"]

    def predict_step(self, batch, batch_idx):
        return batch["qids"]

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(folder, checkpoint: ModelCheckpoint | None = None, **options) -> pl.Trainer:
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    callbacks = [checkpoint] if checkpoint else []
    options |= {"callbacks": callbacks, "enable_checkpointing": bool(checkpoint), "num_sanity_val_steps": 0}
    return pl.Trainer(accelerator="cpu", default_root_dir=folder, **quiet, **options)


EPOCHS = {"max_epochs": 3}
EVERY_STEP = {"every_n_train_steps": 1}


@pytest.mark.filterwarnings("ignore", "error:You're resuming from a checkpoint that ended before the epoch ended")
@pytest.mark.parametrize(
    ("options", "when", "stop_after", "workers"),
    [
        *((EPOCHS, EVERY_STEP, stop, 0) for stop in (1, 4, 5, 10)),
        *((EPOCHS | {"val_check_interval": 2}, {"save_on_train_epoch_end": False}, stop, 0) for stop in (3, 7)),
        *((EPOCHS, {"save_on_train_epoch_end": True}, stop, 0) for stop in (4, 6)),
        *(({"max_steps": 11}, EVERY_STEP, stop, 0) for stop in (4, 10)),
        *((EPOCHS | {"accumulate_grad_batches": 2}, EVERY_STEP, stop, 0) for stop in (2, 7)),
        (EPOCHS, EVERY_STEP, 6, 2),
    ],
)
def test_resuming_goes_on_where_the_run_was(qa_settings, tmp_path, options, when, stop_after, workers):
    """4 batches per epoch. The run and its continuation see what the uninterrupted run sees, in the same order."""
    settings = qa_settings | {"per_gpu_batchsize": 3, "questions_per_video": 2, "num_workers": workers}
    whole = Recorder()
    trainer(tmp_path, **options).fit(whole, QADataModule(**settings))
    assert Counter(epoch for epoch, *_ in whole.seen) == {0: 4, 1: 4, 2: 4 if "max_epochs" in options else 3}

    killed = Recorder(stop_after)
    checkpoint = ModelCheckpoint(tmp_path / "run", filename="last", enable_version_counter=False, **when)
    with pytest.raises(RuntimeError, match="killed"):
        trainer(tmp_path, checkpoint, **options).fit(killed, QADataModule(**settings))
    saved = tmp_path / "run" / "last.ckpt"
    loops = torch.load(saved, weights_only=True)["loops"]["fit_loop"]
    done = loops["epoch_loop.batch_progress"]["total"]["processed"]

    resumed = Recorder()
    trainer(tmp_path, **options).fit(resumed, QADataModule(**settings), ckpt_path=saved, weights_only=True)
    assert killed.seen[:done] + resumed.seen == whole.seen
    assert resumed.weight.item() == whole.weight.item()


@pytest.mark.filterwarnings("ignore")
def test_trainer_validates_and_predicts_every_question_once(module, tmp_path):
    model, data = Recorder(), module()
    trainer(tmp_path).validate(model, data, verbose=False)
    assert len(model.tested) == len(set(model.tested)) == sum(QUESTIONS["val"])
    predicted = [qid for qids in trainer(tmp_path).predict(model, data) for qid in qids]
    assert len(predicted) == len(set(predicted)) == sum(QUESTIONS["test"])


def test_what_frames_and_features_were_made_with(module, qa_root):
    with h5py.File(qa_root / "anetqa.h5", "a") as features:
        features.attrs["made by"] = "hand"
    assert module().preprocessing == {"frames": None, "clips": None}
    (qa_root / "frames" / ".extract_frames.json").write_text('{"fps": 3.0, "format": "jpg"}')
    with h5py.File(qa_root / "anetqa.h5", "a") as features:
        del features.attrs["made by"]
        features.attrs["arch"], features.attrs["clip_len"] = '"tiny"', "16"
    found = {"frames": {"fps": 3.0, "format": "jpg"}, "clips": {"arch": "tiny", "clip_len": 16}}
    assert module().preprocessing == found
    assert module(temporal=False).preprocessing["clips"] is None
    (qa_root / "anetqa.h5").unlink()
    assert module().preprocessing["clips"] is None
