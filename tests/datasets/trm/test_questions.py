import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.captions import CaptionTable, plain
from datasets.errors import InputError
from datasets.trm.questions import QUESTION_TYPES, QuestionMaker, draw_generator, join_clips


@st.composite
def collections(draw):
    """A collection in which captions repeat, between videos and within, and a number of clips that it allows."""
    num_clips = draw(st.integers(2, 5))
    words = st.sampled_from(["one", "two.", "Two", "three", "four", "five", "six", "seven", "eight", "EIGHT ."])
    # These make every question possible; what is drawn on top makes trouble.
    captions = {f"own{number}": [f"caption {number}"] for number in range(num_clips + 1)}
    for number, extra in enumerate(draw(st.lists(st.lists(words, min_size=1, max_size=4), max_size=30))):
        captions[f"extra{number}"] = extra
    return CaptionTable(captions), num_clips


@settings(deadline=None, max_examples=200)
@given(collections(), st.integers(0, 2**32), st.integers(0, 1000), st.data())
def test_text_choices_and_label_agree(collection, seed, epoch, data):
    table, num_clips = collection
    video = data.draw(st.integers(0, len(table) - 1))
    question = QuestionMaker(table, num_clips, "toy").ask(video, draw_generator(seed, epoch, video))

    told = [plain(caption) for caption in question.captions]
    choices = [plain(choice) for choice in question.choices]
    answer = choices[question.label]
    assert len(choices) == num_clips == len(set(choices)), "the right choice, or a wrong one, stands there twice"
    assert len(set(told)) == len(told) == len(set(question.videos)) == (1 if question.type == 0 else num_clips)
    assert video in question.videos
    for place, shown in enumerate(question.videos):
        assert question.captions[place] in table.captions(shown)

    if question.type == 0:
        assert (question.text, answer) == ("what happened", told[0])
    elif question.type in (1, 2):
        assert question.text == f"what happened {QUESTION_TYPES[question.type]}"
        assert answer == told[0 if question.type == 1 else -1] and set(choices) == set(told)
    else:
        relation, step = ("after", 1) if question.type == 3 else ("before", -1)
        named = plain(question.text.removeprefix(f"what happened {relation} "))
        assert answer == told[told.index(named) + step]
        (outside,) = set(choices) - set(told)
        assert set(choices) == (set(told) - {named}) | {outside}


def test_captions_that_are_nearly_all_alike_still_make_questions():
    captions = {f"same{number}": ["always this"] for number in range(3000)}
    captions |= {f"own{number}": [f"caption {number}"] for number in range(4)}
    maker = QuestionMaker(CaptionTable(captions), 3, "toy")
    for index in range(20):
        assert len(set(maker.ask(index, draw_generator(0, 0, index)).choices)) == 3
    # Video 1 must tell "b": were "a" taken, video 0 would be left without a caption of its own.
    maker = QuestionMaker(CaptionTable({"0": ["a"], "1": ["a", "b"], "2": ["c"]}), 2, "toy")
    for index in range(50):
        maker.ask(1, draw_generator(0, 0, index))
    with pytest.raises(InputError, match=r"toy: .* num_clips=4"):
        QuestionMaker(CaptionTable({str(number): ["the same"] for number in range(20)}), 4, "toy")


@given(st.lists(st.integers(1, 20), min_size=1, max_size=12), st.integers(0, 100), st.booleans())
def test_joined_features_stay_in_order_and_with_their_clip(lengths, room, training):
    starts = np.cumsum([0, *lengths[:-1]])
    clips = [np.arange(start, start + n, dtype=np.float32)[:, None] for start, n in zip(starts, lengths, strict=True)]
    joined, kept = join_clips(clips, len(lengths) + room, np.random.default_rng(0) if training else None)
    assert len(joined) == kept.sum() == min(sum(lengths), len(lengths) + room)
    assert (kept >= 1).all() and (np.diff(joined[:, 0]) > 0).all()
    for start, length, part in zip(starts, lengths, np.split(joined[:, 0], np.cumsum(kept)[:-1]), strict=True):
        assert (part >= start).all() and (part < start + length).all()
