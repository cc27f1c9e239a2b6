import csv
import json

import pytest

from datamodules.choices import ChoiceDataModule
from datasets.errors import InputError
from datasets.qa import IGNORE_INDEX
from datasets.sources import nextqa

ROWS = [  # video, choices, right
    ("v_test0", "dog cat who it red", 1),
    ("v_test1", "cat runs dog red is", 3),
    ("v_test1", "cat cat dog red is", 1),
    ("v_test1", "yes no dog cat red", ""),
]


def write(root, split, rows):
    with (root / f"{split}.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(nextqa.COLUMNS)
        for number, (video, choices, right) in enumerate(rows):
            writer.writerow([video, "what is it", right, number, "DO", *choices.split()])
    (root / nextqa.MAP).write_text(json.dumps({video: f"00/{video}" for video, *_ in rows}))


@pytest.fixture
def choice_settings(qa_root, qa_settings):
    write(qa_root, "test", ROWS)
    return qa_settings | {"datasets": ["nextqa"], "temporal": False, "per_gpu_batchsize": 1}


def test_batches(choice_settings):
    data = ChoiceDataModule(**choice_settings)
    data.setup("test")
    first, second = data.test_dataloader()
    assert first["choices"].tolist() == [[0, 1, 2, 3, 4]]
    texts = ["cat", "runs", "dog", "red", "is", "yes", "no"]  # of the batch, in order of appearance
    assert second["choices"].tolist() == [[0, 1, 2, 3, 4], [0, 0, 2, 3, 4], [5, 6, 2, 0, 3]]
    assert second["choice_texts"] == [choices.split() for _, choices, _ in ROWS[1:]]
    for name, tensor in zip(("answer_ids", "answer_mask"), data.tokenizer.encode(texts), strict=True):
        assert second[name].equal(tensor)
    assert second["answer_lengths"] == [3] * 7
    assert second["labels"].tolist() == [3, 0, IGNORE_INDEX]  # of equal choices the first
    assert second["answer_texts"] == ["red", "cat", ""]


def test_training_needs_choices_and_which_is_right(choice_settings, qa_root):
    with pytest.raises(InputError, match=r"the questions of .*val\.csv offer no choices: write objective=qa"):
        ChoiceDataModule(**choice_settings | {"datasets": ["anetqa"]}).setup("validate")
    write(qa_root, "train", ROWS)
    with pytest.raises(InputError, match=r"train\.csv has questions whose right choice is not known"):
        ChoiceDataModule(**choice_settings).setup("fit")
