"""Datasets by name: each is complete, and an unknown name suggests the nearest."""

import pickle

import pytest

from datasets.errors import InputError
from datasets.sources import QA_SOURCES, get_caption_source, get_qa_source


@pytest.mark.parametrize("name", QA_SOURCES)
def test_every_source_is_complete_and_can_be_sent_to_workers(name):
    source = get_qa_source(name)
    assert source.name == name
    assert set(source.split_files) == {"train", "val", "test"}
    assert source.frame_directory.format(video_id="x").endswith("x")
    assert source.feature_key.format(video_id="x").endswith("x")
    assert pickle.loads(pickle.dumps(source)) == source


def test_an_unknown_source_suggests_the_nearest():
    with pytest.raises(
        InputError, match=r"no .* dataset named 'anet-qa' \(did you mean 'anetqa'\?\); there are anetqa, "
    ):
        get_qa_source("anet-qa")
    with pytest.raises(InputError, match=r"no .* dataset named \['anetqa'\]"):
        get_qa_source(["anetqa"])


def test_unknown_collection_has_a_suggestion():
    with pytest.raises(InputError, match="did you mean 'vatex'"):
        get_caption_source("vatx")
