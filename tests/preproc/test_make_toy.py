"""The toy world: the same for the same seed, readable by what comes next, and no answer to be had too easily."""

import itertools
import json
import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from datasets.sources import get_source, nextqa
from datasets.video.decoding import VideoFrames
from datasets.video.library import list_videos
from preproc import preproc_agqa, preproc_anetqa, preproc_tgif, preproc_vatex
from preproc.make_toy import COUNTS, draw_worlds, make_toy, write_annotations
from preproc.toy import choices as toy_choices
from preproc.toy.drawing import render
from preproc.toy.questions import ORDER, TEMPORAL_RELATION, YES_NO
from preproc.toy.world import ACTIONS, ACTORS, EVENT_FRAMES, EVENTS_IN_A_ROW, Event, Scene, ToyVideo

SCENE = Scene("beach", "red", "cross", "left", "high", "ball", "tree", "low", 3)
NAMES = re.compile("|".join([*(" ".join(actor) for actor in ACTORS), *ACTIONS]))


@pytest.fixture(scope="module")
def annotations(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    write_annotations(folder, draw_worlds())
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    counts = make_toy(folder, scale=1e-3, size=32, jobs=2)
    return folder, counts


def anetqa_rows(folder, split):
    questions = json.loads((folder / f"{split}_q.json").read_text())
    answers = json.loads((folder / f"{split}_a.json").read_text())
    return [
        (question["question"], answer["answer"], answer["type"])
        for question, answer in zip(questions, answers, strict=True)
    ]


def agqa_rows(folder, split):
    records = json.loads((folder / f"{split}_balanced.txt").read_text())
    return [(record["question"], record["answer"], record["ans_type"]) for record in records.values()]


def template(text):
    return NAMES.sub("X", text)


def guess_accuracy(train, test, key):
    """type -> share of test questions answered by the most frequent training answer to the same text."""
    seen, seen_of_type = defaultdict(Counter), defaultdict(Counter)
    for text, answer, kind in train:
        seen[key(text)][answer] += 1
        seen_of_type[kind][answer] += 1
    right = defaultdict(list)
    for text, answer, kind in test:
        guess = (seen.get(key(text)) or seen_of_type[kind]).most_common(1)[0][0]
        right[kind].append(guess == answer)
    return {kind: np.mean(own) for kind, own in right.items()}


@pytest.mark.parametrize("key", [str, template], ids=["text", "template"])
@pytest.mark.parametrize("name", ["anetqa", "stills"])
def test_no_answer_can_be_guessed_from_the_text(annotations, name, key):
    rows = {split: anetqa_rows(annotations / name, split) for split in ("train", "test")}
    accuracy = guess_accuracy(rows["train"], rows["test"], key)
    assert accuracy.pop(YES_NO) <= 0.60  # 55 % and what chance does to few questions
    assert max(accuracy.values()) < 0.35, accuracy
    if name == "anetqa":
        assert set(accuracy) | {YES_NO} == set(range(9))


@pytest.mark.parametrize("key", [str, template], ids=["text", "template"])
def test_no_agqa_answer_can_be_guessed_from_the_text(annotations, key):
    train, test = (agqa_rows(annotations / "agqa", split) for split in ("train", "test"))
    accuracy = guess_accuracy(train, test, key)
    assert accuracy["open"] < 0.35
    assert accuracy["binary"] <= 0.60


def nextqa_rows(folder, split):
    table = nextqa.read_questions(folder / "nextqa" / f"{split}.csv")
    types = table.column("type").to_pylist()
    return [(table.question(row), table.answer(row), types[row], table.choices(row)) for row in range(len(table))]


def test_no_choice_can_be_guessed_from_the_words(annotations):
    """By how often it is right in training: a choice, in a place, after a question, beside others that share words."""
    signs = {
        "choice": lambda text, choice, choices: choice,
        "after the text": lambda text, choice, choices: (text, choice),
        "after the template": lambda text, choice, choices: (template(text), choice),
        "place": lambda text, choice, choices: choices.index(choice),
        "actor named": lambda text, choice, choices: any(word in text.split() for word in choice.split()[-3:-1]),
        "twins": lambda text, choice, choices: sum(other.split()[:-1] == choice.split()[:-1] for other in choices),
        "action twins": lambda text, choice, choices: sum(other.split()[-1] == choice.split()[-1] for other in choices),
    }
    for name, sign in signs.items():
        right, offered = Counter(), Counter()
        for text, answer, kind, choices in nextqa_rows(annotations, "train"):
            right[kind, sign(text, answer, choices)] += 1
            offered.update((kind, sign(text, choice, choices)) for choice in choices)
        hits = []
        for text, answer, kind, choices in nextqa_rows(annotations, "test"):
            seen = [(kind, sign(text, choice, choices)) for choice in choices]
            best = max(range(5), key=lambda place: right[seen[place]] / max(offered[seen[place]], 1))
            hits.append(choices[best] == answer)
        assert 0.16 < np.mean(hits) < 0.24, (name, np.mean(hits))  # a fifth, and what chance does to 1,800 questions


def test_choices_of_order_agree_with_the_events(annotations):
    """The right choice is the event, its actor or its action; of whole events, a wrong one is in the video, too."""
    videos = {video.video_id: video for video in draw_worlds()["nextqa"]["test"]}
    table = nextqa.read_questions(annotations / "nextqa" / "test.csv")
    types = table.column("type").to_pylist()
    hard = Counter()
    for row in range(len(table)):
        if types[row] not in toy_choices.ORDER:
            continue
        events, text = videos[table.video_ids[table.video(row)]].events, table.question(row)
        if text.endswith(("beginning", "end")):
            place = 0 if text.endswith("beginning") else -1
        else:
            named = next(place for place, event in enumerate(events) if text.endswith(event.clause))
            place = named + (1 if " after " in text else -1)
        event = events[place]
        assert table.answer(row) in (event.clause, event.actor, event.action)
        assert len(set(table.choices(row))) == 5
        if table.answer(row) == event.clause:
            hard[sum(one.clause in table.choices(row) for one in events)] += 1
    assert set(hard) == {2}  # the right one, and the third of the video


def test_the_set_of_events_leaves_their_order_to_chance(annotations):
    """Who knows all actors of a video, and excludes the one that is named, is right as often as chance has it."""
    chances = []
    answers = defaultdict(Counter)
    for number, video in enumerate(draw_worlds()["anetqa"]["train"]):
        actors = [event.actor for event in video.events]
        assert len(set(actors)) == len(actors)
        answers["first"][sorted(actors).index(actors[0])] += 1
        answers["last"][sorted(actors).index(actors[-1])] += 1
        chances.append(number)
    for counts in answers.values():
        assert max(counts.values()) / len(chances) < 0.43  # a third, and what chance does


def test_any_frame_tells_the_action_and_the_actor():
    """Not their order: a video's frames shuffled show the same events."""
    shown = {}
    for colour, shape in ACTORS:
        for action in ACTIONS:
            video = ToyVideo("a", SCENE, (Event(colour, shape, action),), EVENT_FRAMES, seed=1)
            shown[colour, action] = np.stack(list(render(video, 32))).astype(int)
    for one, other in itertools.combinations(shown, 2):
        difference = np.abs(shown[one] - shown[other]).max(axis=3)  # [frames, rows, columns]
        assert ((difference > 60).mean(axis=(1, 2)) > 0.03).all(), (one, other)


def test_questions_of_order_agree_with_the_events(annotations):
    videos = {video.video_id: video for video in draw_worlds()["anetqa"]["test"]}
    questions = json.loads((annotations / "anetqa" / "test_q.json").read_text())
    answers = json.loads((annotations / "anetqa" / "test_a.json").read_text())
    checked = Counter()
    for question, answer in zip(questions, answers, strict=True):
        if answer["type"] not in ORDER:
            continue
        events = videos[question["video_name"]].events
        text = question["question"]
        if text.endswith("beginning"):
            place = 0
        elif text.endswith("end"):
            place = -1
        else:
            named = next(place for place, event in enumerate(events) if text.endswith(event.clause))
            place = named + (1 if " after " in text else -1)
        expected = events[place].actor if answer["type"] == TEMPORAL_RELATION else events[place].action
        assert answer["answer"] == expected
        checked[answer["type"]] += 1
    assert set(checked) == set(ORDER)


def test_what_comes_next_reads_it(annotations, tmp_path):
    counts = preproc_anetqa.preprocess(annotations / "anetqa", tmp_path / "anetqa")
    videos = COUNTS["anetqa"]
    per_video = counts["test"] // videos["test"]
    assert counts["train"] == per_video * videos["train"]  # no answer is outside the vocabulary
    assert preproc_anetqa.preprocess(annotations / "stills", tmp_path / "stills")["test"] > 0
    assert preproc_agqa.preprocess(annotations / "agqa", tmp_path / "agqa")["test"] > 0
    assert preproc_vatex.preprocess(annotations / "vatex", tmp_path / "vatex")["train"] == COUNTS["vatex"]["train"]
    assert preproc_tgif.preprocess(annotations / "tgif", tmp_path / "tgif")["train"] == COUNTS["tgif"]["train"]


def test_the_videos_are_there_and_whole(small):
    folder, counts = small
    for name, video_frames in (("anetqa", EVENTS_IN_A_ROW * EVENT_FRAMES), ("vatex", EVENT_FRAMES)):
        files = sorted((folder / name / "videos").iterdir())
        assert len(files) == counts[name]
        frames = list(VideoFrames(files[0]))
        assert len(frames) == video_frames
        assert frames[0].shape == (32, 32, 3)


def test_videos_in_folders_are_found_by_the_map(small):
    table = nextqa.read_questions(small[0] / "nextqa" / "test.csv")
    found, problems = list_videos(small[0] / "nextqa" / "videos", get_source("nextqa"))
    assert set(table.video_ids) <= {video.video_id for video in found}
    assert {video.path.parent.name for video in found} == {toy_choices.FOLDER}
    assert not problems


def test_a_video_file_shows_the_video_of_its_name(small):
    video = draw_worlds(scale=1e-3)["vatex"]["train"][2]
    frames = list(VideoFrames(small[0] / "vatex" / "videos" / f"{video.video_id}.mp4"))
    differences = [np.abs(a.astype(int) - b).mean() for a, b in zip(frames, render(video, 32), strict=True)]
    assert max(differences) < 12  # what the codec loses


def test_the_same_seed_gives_the_same_files(small, tmp_path):
    make_toy(tmp_path, scale=1e-3, size=32, jobs=1)
    for name in ("anetqa/test_q.json", "agqa/train_balanced.txt", "vatex/videos/vatex_train_00000.mp4"):
        assert (tmp_path / name).read_bytes() == (small[0] / name).read_bytes()
    make_toy(tmp_path, seed=1, scale=1e-3, size=32, jobs=1)
    assert (tmp_path / "anetqa/test_q.json").read_bytes() != (small[0] / "anetqa/test_q.json").read_bytes()
