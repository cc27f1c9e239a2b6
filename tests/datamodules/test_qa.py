"""The data module: what a stage needs, batches, resuming, and every message."""

import json
import pickle
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


def test_batches_of_the_test_split(qa_settings):
    data = QADataModule(**qa_settings)
    data.setup("test")
    batches = list(data.test_dataloader())
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


def test_features_are_sampled_down(qa_settings):
    data = QADataModule(**qa_settings)
    data.setup("validate")
    first, second = data.val_dataloader()
    assert first["clips"][0, :, 0].tolist() == pytest.approx([4.0, 4.1])
    assert second["clips"].shape == (1, 2, 5)  # of 3
    assert second["clips"][0, :, 0].tolist() == pytest.approx([5.0, 5.1])  # spans 0 and 1-2


def test_training_batches(qa_settings):
    data = QADataModule(**qa_settings, questions_per_video=2, num_workers=1)
    data.setup("fit")
    loader = data.train_dataloader()
    data.start = (1, 0)
    batches = list(loader)
    assert sorted(qid for batch in batches for qid in batch["qids"]) == sorted(
        f"train{video}_{turn}" for video, count in enumerate(QUESTIONS["train"]) for turn in range(count)
    )
    for batch in batches:
        num_videos = len({qid.split("_")[0] for qid in batch["qids"]})
        assert len(batch["frames"]) == len(batch["questions"].per_video) == num_videos
    data.start = (1, 2)
    assert [batch["qids"] for batch in loader] == [batch["qids"] for batch in batches[2:]]
    data.start = (2, 0)
    assert [batch["qids"] for batch in loader] != [batch["qids"] for batch in batches]


def test_vocabulary_and_answers(qa_settings):
    data = QADataModule(**qa_settings)
    assert data.vocabulary == ANSWERS
    assert data.answer_ids.tolist() == [[2, 1, 3], [2, 1, 3], [2, 10, 3], [2, 11, 3]]
    assert data.answer_mask.sum() == 12
    assert data.source.name == "anetqa"
    assert QADataModule(**qa_settings, vocabulary=["dog"]).vocabulary == ["dog"]


def test_mean_baseline_needs_no_features(qa_settings):
    (qa_settings["data_root"] / "anetqa.h5").unlink()
    data = QADataModule(**qa_settings, temporal=False)
    data.setup("test")
    assert "clips" not in next(iter(data.test_dataloader()))


def test_a_stage_needs_only_its_own_files(qa_settings):
    root = qa_settings["data_root"]
    for name in ("train.csv", "val.csv"):
        (root / name).unlink()
    shutil.rmtree(root / "frames" / "v_train0")
    data = QADataModule(**qa_settings)
    data.setup("predict")
    assert len(data.predict_dataloader()) == 3
    with pytest.raises(InputError, match=r"train\.csv does not exist"):
        data.setup("fit")


def test_dataset_survives_pickling(qa_settings):
    data = QADataModule(**qa_settings)
    data.setup("test")
    dataset = data.test_dataloader()._loader.dataset
    assert len(pickle.dumps(dataset)) < 20_000
    assert pickle.loads(pickle.dumps(dataset)).dataset[0].qids == ["test0_0"]


def test_spawned_workers(qa_settings):
    """They get the same batches, and import nothing that takes seconds."""
    data = QADataModule(**qa_settings)
    data.setup("validate")
    dataset, batches = data.val_dataloader()._loader.dataset.dataset, data.val_dataloader().batches
    collate = QACollate(data.tokenizer)
    (spawned, _), (here, _) = (
        list(ResumableLoader(dataset, collate, batches, num_workers, multiprocessing_context="spawn"))
        for num_workers in (1, 0)
    )
    assert spawned["qids"] == here["qids"]
    assert all((spawned[key] == here[key]).all() for key in ("frames", "clips", "labels"))
    assert (spawned["questions"].ids == here["questions"].ids).all()


def test_what_workers_need_is_light():
    """Spawned workers import this much before the first batch."""
    code = "import sys, datamodules.batch, datamodules.loaders; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pytorch_lightning", "transformers", "timm", "torchvision"} & set(imported)


def test_one_data_set(qa_settings):
    for names in ([], ["anetqa", "agqa"]):
        with pytest.raises(InputError, match=rf"takes one dataset, not {len(names)}"):
            QADataModule(**qa_settings | {"datasets": names})
    with pytest.raises(InputError, match=r"no question-answering dataset named 'anet'.*did you mean 'anetqa'"):
        QADataModule(**qa_settings | {"datasets": ["anet"]})


def test_missing_frames_and_features(qa_settings):
    root = qa_settings["data_root"]
    shutil.rmtree(root / "frames" / "v_test1")
    with pytest.raises(
        InputError,
        match=r"^1 of the 3 videos of test\.csv have no frames in .*frames \(test1\); .*preproc/check_data\.py",
    ):
        QADataModule(**qa_settings).setup("test")
    (root / "anetqa.h5").unlink()
    with pytest.raises(InputError, match=r"anetqa\.h5 does not exist"):
        QADataModule(**qa_settings).setup("validate")
    shutil.rmtree(root / "frames")
    with pytest.raises(InputError, match=r"cannot list the frames in"):
        QADataModule(**qa_settings).setup("test")


def test_frames_and_features_that_cannot_be_used_are_told_before_the_run(qa_settings):
    root = qa_settings["data_root"]
    with h5py.File(root / "anetqa.h5", "a") as features:
        for video_id in ("test0", "test2"):
            del features[video_id]
            features[video_id] = np.zeros((2, 6), np.float32)
    with pytest.raises(
        InputError,
        match=r"^2 of the 3 videos of test\.csv have clip features that cannot be used \(test0, test2\); .*anetqa\.h5, "
        r"'test0': float32 of shape \(2, 6\) instead of .*; preproc/check_data\.py lists all$",
    ):
        QADataModule(**qa_settings).setup("test")
    for frame in (root / "frames" / "v_test1").iterdir():
        frame.unlink()
    with pytest.raises(
        InputError,
        match=r"^1 of the 3 videos of test\.csv have frames that cannot be used \(test1\); no frames .*v_test1;",
    ):
        QADataModule(**qa_settings).setup("test")
    QADataModule(**qa_settings).setup("validate")


def test_answers_outside_the_vocabulary(qa_settings):
    root = qa_settings["data_root"]
    (root / "vocab.json").write_text(json.dumps({"dog": 0, "cat": 1, "yes": 2}))
    data = QADataModule(**qa_settings)
    data.setup("test")  # counted as wrong
    assert (next(iter(data.test_dataloader()))["labels"]).tolist() == [2]
    labels = torch.cat([batch["labels"] for batch in data.test_dataloader()])
    assert labels.tolist().count(-100) == 2
    with pytest.raises(
        InputError, match=r"train\.csv has 1 answers outside the vocabulary of 3, such as 'no': preprocess"
    ):
        QADataModule(**qa_settings).setup("fit")
    with pytest.raises(InputError, match=r"not one answer in .*val\.csv \(such as 'cat'\) is in the vocabulary of 1"):
        QADataModule(**qa_settings, vocabulary=["blue"]).setup("validate")


@pytest.mark.parametrize("answers", [[""], ["", "dog"]])
def test_validation_without_answers_chooses_nothing(qa_settings, capsys, answers):
    write_split(qa_settings["data_root"], "val", QUESTIONS["val"], answers=answers)
    QADataModule(**qa_settings).setup("fit")
    said = capsys.readouterr().out
    path = qa_settings["data_root"] / "val.csv"
    warning = (
        f"warning: no question in {path} has an answer: val/accuracy is 0 throughout, and "
        "best.ckpt simply the first; use last.ckpt, or give the split its answers\n"
    )
    assert said == (warning if answers == [""] else "")


def test_answers_to_the_test_that_are_all_outside_the_vocabulary(qa_settings, capsys):
    """Nothing depends on them, so that they are no reason to refuse, but hardly meant so."""
    for answers, example in ((ANSWERS, "cat"), (["", "unknown"], "unknown")):
        write_split(qa_settings["data_root"], "test", QUESTIONS["test"], answers)
        data = QADataModule(**qa_settings, vocabulary=["blue"])
        data.setup("predict")
        path = qa_settings["data_root"] / "test.csv"
        assert capsys.readouterr().out == (
            f"warning: not one answer in {path} (such as {example!r}) is in the vocabulary of 1: are file and "
            "vocabulary of the same dataset?\n"
        )
        assert {label for batch in data.predict_dataloader() for label in batch["labels"].tolist()} == {-100}


def test_questions_without_answers_can_be_answered(qa_settings, capsys):
    write_split(qa_settings["data_root"], "test", QUESTIONS["test"], answers=[""])
    data = QADataModule(**qa_settings)
    data.setup("predict")
    assert next(iter(data.predict_dataloader()))["labels"].tolist() == [-100]
    assert capsys.readouterr().out == ""


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
    return pl.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        callbacks=[checkpoint] if checkpoint else [],
        enable_checkpointing=checkpoint is not None,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )


EPOCHS = {"max_epochs": 3}


@pytest.mark.filterwarnings("ignore", "error:You're resuming from a checkpoint that ended before the epoch ended")
@pytest.mark.parametrize(
    ("options", "when", "stop_after", "workers"),
    [
        *((EPOCHS, {"every_n_train_steps": 1}, stop, 0) for stop in (1, 2, 4, 5, 8, 9, 10)),
        *((EPOCHS | {"val_check_interval": 2}, {"save_on_train_epoch_end": False}, stop, 0) for stop in (3, 4, 7)),
        *((EPOCHS, {"save_on_train_epoch_end": True}, stop, 0) for stop in (4, 6, 9)),
        *(({"max_steps": 11}, {"every_n_train_steps": 1}, stop, 0) for stop in (2, 4, 5, 10)),
        *((EPOCHS | {"accumulate_grad_batches": 2}, {"every_n_train_steps": 1}, stop, 0) for stop in (2, 4, 6, 7)),
        (EPOCHS, {"every_n_train_steps": 1}, 2, 2),
        (EPOCHS, {"every_n_train_steps": 1}, 6, 2),
    ],
)
def test_resuming_goes_on_where_the_run_was(qa_settings, tmp_path, options, when, stop_after, workers):
    """4 batches per epoch. The run and its continuation see what the uninterrupted run sees, in the same order."""
    settings = qa_settings | {"per_gpu_batchsize": 3, "questions_per_video": 2, "num_workers": workers}
    whole = Recorder()
    trainer(tmp_path, **options).fit(whole, QADataModule(**settings))
    assert Counter(epoch for epoch, *_ in whole.seen) == (
        {0: 4, 1: 4, 2: 4} if "max_epochs" in options else {0: 4, 1: 4, 2: 3}
    )

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
def test_trainer_validates_and_predicts_every_question_once(qa_settings, tmp_path):
    model, data = Recorder(), QADataModule(**qa_settings)
    trainer(tmp_path).validate(model, data, verbose=False)
    assert len(model.tested) == len(set(model.tested)) == sum(QUESTIONS["val"])
    predicted = [qid for qids in trainer(tmp_path).predict(model, data) for qid in qids]
    assert len(predicted) == len(set(predicted)) == sum(QUESTIONS["test"])


class TestPreprocessing:
    def test_what_frames_and_features_were_made_with(self, qa_settings, qa_root):
        assert QADataModule(**qa_settings).preprocessing == {"frames": None, "clips": None}
        (qa_root / "frames" / ".extract_frames.json").write_text('{"fps": 3.0, "format": "jpg"}')
        with h5py.File(qa_root / "anetqa.h5", "a") as features:
            features.attrs["arch"], features.attrs["clip_len"] = '"tiny"', "16"
        found = {"frames": {"fps": 3.0, "format": "jpg"}, "clips": {"arch": "tiny", "clip_len": 16}}
        assert QADataModule(**qa_settings).preprocessing == found
        assert QADataModule(**qa_settings, temporal=False).preprocessing["clips"] is None

    def test_features_that_are_missing_or_of_another_tool(self, qa_settings, qa_root):
        with h5py.File(qa_root / "anetqa.h5", "a") as features:
            features.attrs["made by"] = "hand"
        assert QADataModule(**qa_settings).preprocessing["clips"] is None
        (qa_root / "anetqa.h5").unlink()
        assert QADataModule(**qa_settings).preprocessing["clips"] is None
