"""Questions about a toy video in the manner of NExT-QA: five choices, one of them right.

The words betray nothing. Either all five values that there are stand for choice, or the wrong ones are drawn so that
each choice is as likely to be right as any other: see `_clauses`. Where the right one stands is drawn, too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .world import ACTIONS, ACTORS, COLOURS, ITEMS, PLACES, SIGN_SHAPES, THINGS, Event, ToyVideo

COLUMNS = "video frame_count width height question answer qid type a0 a1 a2 a3 a4".split()
FOLDER = "0000"  # of the videos, in what stands for VidOR's download
ORDER = ("TP", "TN", "TC")  # types of question that no set of frames answers without their order

_ACTOR_NAMES = tuple(" ".join(actor) for actor in ACTORS)


@dataclass(frozen=True)
class ChoiceQuestion:
    """A question, its choices, the index of the right one, its type."""

    text: str
    choices: tuple[str, ...]
    right: int
    type: str


def ask(video: ToyVideo, random: np.random.Generator) -> list[ChoiceQuestion]:
    """All questions about a video, those that one frame answers first."""
    scene, events = video.scene, video.events
    last = len(events) - 1
    found = [
        _among("where does it happen", scene.place, PLACES, "DL", random),
        _among("what color is the sign", scene.sign_colour, COLOURS, "DO", random),
        _among("what shape is the sign", scene.sign_shape, SIGN_SHAPES, "DO", random),
        _among("what is below the sign", scene.item, ITEMS, "DO", random),
        _among("what stands on the other side", scene.thing, THINGS, "DO", random),
    ]
    for place, when in ((0, "at the beginning"), (last, "at the end")):
        found.append(_among(f"what acted {when}", events[place].actor, _ACTOR_NAMES, "TC", random))
        found.append(_among(f"how did it act {when}", events[place].action, ACTIONS, "TC", random))
    for named in random.permutation(last):
        text = f"how did it act after {events[named].clause}"
        found.append(_among(text, events[named + 1].action, ACTIONS, "TN", random))
        found.append(_clauses(f"what acted after {events[named].clause}", events, named, named + 1, "TN", random))
        named += 1
        found.append(_clauses(f"what acted before {events[named].clause}", events, named, named - 1, "TP", random))
    return found


def _among(text: str, truth: str, values: Iterable[str], kind: str, random: np.random.Generator) -> ChoiceQuestion:
    """A question whose choices are values that are all as likely."""
    others = [value for value in values if value != truth]
    return _mixed(text, truth, [others[place] for place in random.permutation(len(others))[:4]], kind, random)


def _clauses(
    text: str, events: Sequence[Event], named: int, right: int, kind: str, random: np.random.Generator
) -> ChoiceQuestion:
    """A question whose choices are whole events: that of the video that is neither named nor right, and others.

    The four actors that are not named have one choice each, and one of them a second, with another action: the right
    one as often as two choices of five make it.
    """
    truth, other = events[right], next(event for place, event in enumerate(events) if place not in (named, right))
    known = (events[named].actor, truth.actor, other.actor)
    absent = [Event(*actor, ACTIONS[random.integers(len(ACTIONS))]) for actor in ACTORS if " ".join(actor) not in known]
    wrong = [other, *absent]
    twin = truth if random.random() < 2 / 5 else wrong[random.integers(len(wrong))]
    actions = [action for action in ACTIONS if action != twin.action]
    wrong.append(Event(twin.colour, twin.shape, actions[random.integers(len(actions))]))
    return _mixed(text, truth.clause, [event.clause for event in wrong], kind, random)


def _mixed(text: str, truth: str, wrong: Sequence[str], kind: str, random: np.random.Generator) -> ChoiceQuestion:
    right = int(random.integers(len(wrong) + 1))
    others = [wrong[place] for place in random.permutation(len(wrong))]
    return ChoiceQuestion(text, (*others[:right], truth, *others[right:]), right, kind)
