import h5py
import numpy as np
import pytest

from datamodules.tokenization import load_tokenizer
from datamodules.trm import ReferringCollate, TRMDataModule
from datasets.errors import InputError
from datasets.trm.questions import ReferringQuestion
from datasets.trm.samples import ReferringSample
from tests.kit.captioned_world import WIDTH, WORDS, make_captioned_world


@pytest.fixture
def module(tmp_path):
    sizes = {"per_gpu_batchsize": 4, "num_clips": 3, "max_video_len": 5, "max_text_len": 6, "val_questions": 12}
    settings = {"datasets": ["vatex", "tgif"], "data_root": make_captioned_world(tmp_path), "tokenizer": WORDS, **sizes}

    def make(stage="fit", start=(0, 0), **changes) -> TRMDataModule:
        data = TRMDataModule(**{**settings, "input_video_embed_size": WIDTH, **changes})
        data.setup(stage)
        data.start = start
        return data

    return make


def test_collation_by_hand():
    one = ReferringQuestion(1, "what happened", ("one", "two two"), 1, (4, 5), ("two two", "one"))
    other = ReferringQuestion(0, "what", ("three", "four"), 0, (6,), ("three",))
    samples = [
        ReferringSample("a", one, np.arange(3, dtype=np.float32)[:, None], np.array([1, 2])),
        ReferringSample("b", other, np.array([[9.0]], np.float32), np.array([1])),
    ]
    batch = ReferringCollate(load_tokenizer(WORDS), max_text_len=3)(samples)
    assert batch["clips"][..., 0].tolist() == [[0, 1, 2], [9, 0, 0]]
    assert batch["clip_mask"].tolist() == [[True, True, True], [True, False, False]]
    assert batch["clip_index"].tolist() == [[0, 1, 1], [2, 3, 3]]
    assert batch["clip_lengths"].tolist() == [1, 2, 1]
    assert (batch["labels"].tolist(), batch["types"].tolist(), batch["qids"]) == ([1, 0], [1, 0], ["a", "b"])
    cls, sep, one, two, three, four = (WORDS.index(word) for word in "[CLS] [SEP] one two three four".split())
    # Choices are cut at 3 tokens, captions at 8.
    assert batch["choice_ids"].tolist() == [[cls, word, sep] for word in (one, two, three, four)]
    assert batch["caption_ids"].tolist() == [[cls, two, two, sep], [cls, one, sep, 0], [cls, three, sep, 0]]
    assert batch["caption_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 0]]
    assert (batch["questions"].lengths, batch["questions"].per_video) == ([4, 3], [1, 1])
    assert batch["choice_texts"] == [("one", "two two"), ("three", "four")]


def told(batches):
    """What differs where anything does: the questions, their order, the features that were drawn, per question."""
    columns = [(batch["qids"], batch["labels"].tolist(), batch["clips"].sum((1, 2)).tolist()) for batch in batches]
    return [row for own in columns for row in zip(*own, strict=True)]


def test_training_is_a_function_of_epoch_and_place_with_any_number_of_workers(module):
    whole = told(module(start=(3, 0)).train_dataloader())
    for workers in (0, 2):
        assert told(module(start=(3, 2), num_workers=workers).train_dataloader()) == whole[8:]
    assert told(module(start=(4, 0)).train_dataloader())[0] != whole[0]


def test_validation_is_a_function_of_annotations_num_clips_and_seed(module, tmp_path):
    first = told(module().val_dataloader())
    assert told(module(num_workers=2).val_dataloader()) == first
    assert len({qid for qid, *_ in first}) == len(first) == 24
    assert [row[:2] for row in told(module(per_gpu_batchsize=7).val_dataloader())] == [row[:2] for row in first]
    assert [row[:2] for row in told(module(seed=1).val_dataloader())] != [row[:2] for row in first]
    for name in ("vatex", "tgif"):  # testing reads the validation split alone
        (tmp_path / name / "train.json").unlink()
    assert told(module("predict").predict_dataloader()) == first


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"datasets": ["tgiff"]}, "'tgif'"),
        ({"dataset_weights": [1]}, r"dataset_weights=\[1\]"),
        ({"data_root": "nowhere"}, "nowhere/vatex"),
        ({"num_clips": 11, "max_video_len": 20}, "vatex: .* num_clips=11"),
        ({}, "1 of the 7 videos of .*train.json .*train3"),
    ],
)
def test_errors_say_the_way_out(module, tmp_path, changes, said):
    with h5py.File(tmp_path / "tgif" / "tgif.h5", "a") as features:
        del features["train3"]
    with pytest.raises(InputError, match=said):
        module(**changes)
