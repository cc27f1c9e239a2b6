"""The toy world: the same for the same seed, readable by what comes next, and no answer to be had too easily."""

import json

import numpy as np
import pytest

from datasets.sources import get_source, nextqa
from datasets.video.decoding import VideoFrames
from datasets.video.library import list_videos
from preproc.make_toy import draw_worlds, make_toy, write_annotations
from preproc.toy import choices as toy_choices
from preproc.toy.drawing import render
from preproc.toy.questions import ORDER, TEMPORAL_RELATION
from preproc.toy.world import EVENT_FRAMES, EVENTS_IN_A_ROW


@pytest.fixture(scope="module")
def annotations(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    write_annotations(folder, draw_worlds())
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    return folder, make_toy(folder, scale=1e-3, size=32, jobs=2)


def rows_of(folder, split):
    """(question, answer, type) of a dataset as published."""
    if folder.name == "agqa":
        records = json.loads((folder / f"{split}_balanced.txt").read_text()).values()
        return [(record["question"], record["answer"], record["ans_type"]) for record in records]
    questions, answers = (json.loads((folder / f"{split}_{kind}.json").read_text()) for kind in "qa")
    pairs = zip(questions, answers, strict=True)
    return [(question["question"], answer["answer"], answer["type"]) for question, answer in pairs]


def choice_rows(folder, split):
    """(question, answer, type, choices, video) of the multiple-choice dataset."""
    table = nextqa.read_questions(folder / "nextqa" / f"{split}.csv")
    types, videos = table.column("type").to_pylist(), table.video_ids
    texts = [(table.question(row), table.answer(row), types[row], table.choices(row)) for row in range(len(table))]
    return [(*text, videos[table.video(row)]) for row, text in enumerate(texts)]


def asked_event(events, text):
    """The event that a question of order is about."""
    if text.endswith(("beginning", "end")):
        return events[0 if text.endswith("beginning") else -1]
    named = next(place for place, event in enumerate(events) if text.endswith(event.clause))
    return events[named + (1 if " after " in text else -1)]


def test_answers_of_order_agree_with_the_events(annotations):
    """Of choices that are whole events, a wrong one is in the video, too."""
    worlds, checked = draw_worlds(), set()
    videos = {video.video_id: video.events for name in ("anetqa", "nextqa") for video in worlds[name]["test"]}
    questions = json.loads((annotations / "anetqa" / "test_q.json").read_text())
    for question, (text, answer, kind) in zip(questions, rows_of(annotations / "anetqa", "test"), strict=True):
        if kind in ORDER:
            event = asked_event(videos[question["video_name"]], text)
            assert answer == (event.actor if kind == TEMPORAL_RELATION else event.action)
            checked.add(kind)
    for text, answer, kind, choices, video in choice_rows(annotations, "test"):
        if kind in toy_choices.ORDER:
            event = asked_event(videos[video], text)
            assert answer in (event.clause, event.actor, event.action) and len(set(choices)) == 5
            assert answer != event.clause or sum(one.clause in choices for one in videos[video]) == 2
    assert checked == set(ORDER)


def test_the_videos_are_those_of_their_names_and_whole(small):
    folder, counts = small
    for name, num_events in (("anetqa", EVENTS_IN_A_ROW), ("vatex", 1)):
        video = draw_worlds(scale=1e-3)[name]["train"][2]
        (path,) = (folder / name / "videos").glob(f"*{video.video_id}.mp4")
        frames = list(VideoFrames(path))
        assert len(list(path.parent.iterdir())) == counts[name] and len(frames) == num_events * EVENT_FRAMES
        differences = [np.abs(a.astype(int) - b).mean() for a, b in zip(frames, render(video, 32), strict=True)]
        assert max(differences) < 12  # what the codec loses
    found, problems = list_videos(folder / "nextqa" / "videos", get_source("nextqa"))
    assert {video for *_, video in choice_rows(folder, "test")} <= {video.video_id for video in found}
    assert {video.path.parent.name for video in found} == {toy_choices.FOLDER} and not problems


def test_the_same_seed_gives_the_same_files(small, tmp_path):
    for seed in (0, 1):
        make_toy(tmp_path, seed=seed, scale=1e-3, size=32, jobs=1)
        for name in ("anetqa/test_q.json", "agqa/train_balanced.txt", "vatex/videos/vatex_train_00000.mp4"):
            assert ((tmp_path / name).read_bytes() == (small[0] / name).read_bytes()) == (seed == 0)
