"""Batches of temporal referring: against hand-computed values, and the same however they are loaded."""

import h5py
import numpy as np
import pytest
import torch

from datamodules.tokenization import load_tokenizer
from datamodules.trm import EXTRA_TOKENS, ReferringCollate, TRMDataModule, share_out
from datasets.errors import InputError
from datasets.trm.questions import ReferringQuestion
from datasets.trm.samples import ReferringSample
from tests.kit.captioned_world import WIDTH, WORDS, make_captioned_world


@pytest.fixture
def trm_root(tmp_path):
    return make_captioned_world(tmp_path)


@pytest.fixture
def settings(trm_root):
    return {
        "datasets": ["vatex", "tgif"],
        "data_root": trm_root,
        "tokenizer": WORDS,
        "per_gpu_batchsize": 4,
        "num_clips": 3,
        "max_video_len": 5,
        "max_text_len": 6,
        "input_video_embed_size": WIDTH,
        "val_questions": 12,
    }


def set_up(settings, **changes) -> TRMDataModule:
    data = TRMDataModule(**{**settings, **changes})
    data.setup("fit")
    return data


def test_collation_by_hand():
    samples = [
        ReferringSample(
            "a",
            ReferringQuestion(1, "what happened", ("one", "two two"), 1, (4, 5), ("two two", "one")),
            np.arange(3, dtype=np.float32)[:, None],
            np.array([1, 2]),
        ),
        ReferringSample(
            "b",
            ReferringQuestion(0, "what", ("three", "four"), 0, (6,), ("three",)),
            np.array([[9.0]], np.float32),
            np.array([1]),
        ),
    ]
    batch = ReferringCollate(load_tokenizer(WORDS), max_text_len=3)(samples)
    assert batch["clips"][..., 0].tolist() == [[0, 1, 2], [9, 0, 0]]
    assert batch["clip_mask"].tolist() == [[True, True, True], [True, False, False]]
    assert batch["clip_index"].tolist() == [[0, 1, 1], [2, 3, 3]]
    assert batch["clip_lengths"].tolist() == [1, 2, 1]
    assert batch["labels"].tolist() == [1, 0]
    assert batch["types"].tolist() == [1, 0]
    assert batch["qids"] == ["a", "b"]
    cls, sep, one, two, three, four = (WORDS.index(w) for w in ("[CLS]", "[SEP]", "one", "two", "three", "four"))
    # Choices are cut at 3 tokens, captions at 8.
    assert batch["choice_ids"].tolist() == [[cls, word, sep] for word in (one, two, three, four)]
    assert batch["caption_ids"].tolist() == [[cls, two, two, sep], [cls, one, sep, 0], [cls, three, sep, 0]]
    assert batch["caption_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 0]]
    assert batch["questions"].mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert batch["questions"].lengths == [4, 3]
    assert batch["questions"].per_video == [1, 1]
    assert batch["question_texts"] == ["what happened", "what"]
    assert batch["choice_texts"] == [("one", "two two"), ("three", "four")]


def test_shapes_and_lengths(settings):
    data = set_up(settings)
    batches = list(data.train_dataloader())
    assert sum(len(batch["labels"]) for batch in batches) == 18
    for batch in batches:
        num_questions, num_clips = len(batch["labels"]), len(batch["clip_lengths"])
        assert batch["clips"].shape[1] <= 5
        assert batch["clip_mask"].sum() == batch["clip_lengths"].sum()
        assert batch["choice_ids"].shape[0] == 3 * num_questions
        assert batch["caption_ids"].shape[0] == num_clips == int((batch["types"] > 0).sum()) * 2 + num_questions
        assert batch["choice_ids"].shape[1] <= 6
        assert max(batch["questions"].ids.shape[1], batch["caption_ids"].shape[1]) <= 6 + EXTRA_TOKENS
        counts = torch.bincount(batch["clip_index"].flatten(), minlength=num_clips + 1)[:num_clips]
        assert torch.equal(counts, batch["clip_lengths"])


def equal(first, second) -> bool:
    tensors = [name for name in first if isinstance(first[name], torch.Tensor)]
    return (
        first["qids"] == second["qids"]
        and torch.equal(first["questions"].ids, second["questions"].ids)
        and all(torch.equal(first[name], second[name]) for name in tensors)
    )


@pytest.mark.parametrize("num_workers", [1, 2])
def test_the_draw_is_the_same_for_any_number_of_workers(settings, num_workers):
    alone, together = (set_up(settings, num_workers=number).train_dataloader() for number in (0, num_workers))
    assert all(equal(*pair) for pair in zip(alone, together, strict=True))


def test_training_goes_on_in_the_middle_of_an_epoch(settings):
    data = set_up(settings)
    data.start = (3, 0)
    whole = list(data.train_dataloader())
    data = set_up(settings)
    data.start = (3, 2)
    assert all(equal(*pair) for pair in zip(whole[2:], data.train_dataloader(), strict=True))
    data.start = (4, 0)
    assert not equal(next(iter(data.train_dataloader())), whole[0])


def test_validation_is_a_function_of_annotations_num_clips_and_seed(settings):
    first = list(set_up(settings).val_dataloader())
    again = list(set_up(settings, num_workers=2).val_dataloader())
    assert all(equal(*pair) for pair in zip(first, again, strict=True))
    qids = [qid for batch in first for qid in batch["qids"]]
    assert len(set(qids)) == len(qids) == 24
    assert sum(qid.startswith("vatex/") for qid in qids) == 12
    other_batches = list(set_up(settings, per_gpu_batchsize=7).val_dataloader())
    assert [qid for batch in other_batches for qid in batch["qids"]] == qids
    labels = torch.cat([batch["labels"] for batch in first])
    assert torch.equal(torch.cat([batch["labels"] for batch in other_batches]), labels)
    other_seed = torch.cat([batch["labels"] for batch in set_up(settings, seed=1).val_dataloader()])
    assert not torch.equal(other_seed, labels)


def test_testing_reads_the_validation_split_alone(settings, trm_root):
    for name in ("vatex", "tgif"):
        (trm_root / name / "train.json").unlink()
    data = TRMDataModule(**settings)
    data.setup("predict")
    assert sum(len(batch["labels"]) for batch in data.predict_dataloader()) == 24


def test_collections_share_as_configured(settings):
    data = set_up(settings, dataset_weights=[1, 5])
    qids = [qid for batch in data.train_dataloader() for qid in batch["qids"]]
    assert [sum(qid.startswith(f"{name}/") for qid in qids) for name in ("vatex", "tgif")] == [3, 15]
    assert share_out(10, [1, 1, 1]) == [3, 4, 3]
    assert share_out(10, [1000, 1]) == [10, 1]


def test_a_single_collection_may_be_the_root_itself(settings, trm_root):
    data = set_up(settings, datasets=["tgif"], data_root=trm_root / "tgif")
    assert len(data.train_dataset) == 7


def test_errors_say_the_way_out(settings, trm_root):
    with pytest.raises(InputError, match="did you mean 'tgif'"):
        TRMDataModule(**{**settings, "datasets": ["tgiff"]})
    with pytest.raises(InputError, match="names 'tgif' twice"):
        TRMDataModule(**{**settings, "datasets": ["tgif", "tgif"]})
    with pytest.raises(InputError, match=r"dataset_weights=\[1\] must be 2 numbers above 0"):
        TRMDataModule(**{**settings, "dataset_weights": [1]})
    with pytest.raises(InputError, match=r"no folder .*nowhere/vatex"):
        TRMDataModule(**{**settings, "data_root": trm_root / "nowhere"})
    with pytest.raises(InputError, match="vatex: 11 videos with 22 different captions are too few for num_clips=11"):
        set_up(settings, num_clips=11, max_video_len=20)
    with h5py.File(trm_root / "tgif" / "tgif.h5", "a") as features:
        del features["train3"]
    with pytest.raises(InputError, match=r"1 of the 7 videos of .*train.json have no features.*train3.*--features"):
        set_up(settings)
    with h5py.File(trm_root / "tgif" / "tgif.h5", "a") as features:
        features.create_group("train3")
    with pytest.raises(
        InputError,
        match=r"1 of the 7 videos of .* have clip features that cannot be used \(train3\).*a group;",
    ):
        set_up(settings)
