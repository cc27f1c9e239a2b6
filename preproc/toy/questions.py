"""Questions about a toy video, in the manner of ActivityNet-QA: a text, an answer and one of its nine types.

Every answer is drawn evenly among those its question admits, so that the text does not betray it. The order of events
is any with the same chance: who knows which shapes act in a video can but guess which of them is first, or comes next.
"""

from dataclasses import dataclass

import numpy as np

from .world import THINGS, Event, Scene, ToyVideo

MOTION, SPATIAL_RELATION, TEMPORAL_RELATION, YES_NO, COLOUR, OBJECT, LOCATION, NUMBER, OTHER = range(9)
ORDER = (MOTION, TEMPORAL_RELATION)


@dataclass(frozen=True)
class Question:
    text: str
    answer: str
    type: int


def ask(video: ToyVideo, random: np.random.Generator) -> list[Question]:
    """All questions about a video, those that one frame answers first."""
    return ask_about_scene(video.scene, random) + ask_about_order(video.events, random)


def ask_about_scene(scene: Scene, random: np.random.Generator) -> list[Question]:
    """Questions that any frame answers."""
    return [
        Question("what is below the sign", scene.item, SPATIAL_RELATION),
        yes_no("is there a {}", scene.thing, THINGS, random),
        yes_no("is there a {}", scene.thing, THINGS, random),
        Question("are there more than two stones", "yes" if scene.stones > 2 else "no", YES_NO),
        Question("what color is the sign", scene.sign_colour, COLOUR),
        Question("what stands on the other side", scene.thing, OBJECT),
        Question("where does it happen", scene.place, LOCATION),
        Question("how many stones lie on the ground", str(scene.stones), NUMBER),
        Question("what shape is the sign", scene.sign_shape, OTHER),
    ]


def yes_no(text: str, truth: str, values: tuple[str, ...], random: np.random.Generator) -> Question:
    """A question whose answer is yes as often as no; `text` has a place for one of the values."""
    if random.random() < 0.5:
        return Question(text.format(truth), "yes", YES_NO)
    others = [value for value in values if value != truth]
    return Question(text.format(others[random.integers(len(others))]), "no", YES_NO)


def ask_about_order(events: tuple[Event, ...], random: np.random.Generator) -> list[Question]:
    """Questions that no set of frames answers without their order."""
    last = len(events) - 1
    questions = [
        Question("what acted at the beginning", events[0].actor, TEMPORAL_RELATION),
        Question("what acted at the end", events[last].actor, TEMPORAL_RELATION),
    ]
    for place in random.permutation(last)[:2]:
        text = f"what acted after {events[place].clause}"
        questions.append(Question(text, events[place + 1].actor, TEMPORAL_RELATION))
    for place in 1 + random.permutation(last)[:2]:
        text = f"what acted before {events[place].clause}"
        questions.append(Question(text, events[place - 1].actor, TEMPORAL_RELATION))
    earlier = int(random.integers(last))
    questions += [
        Question("how did it act at the beginning", events[0].action, MOTION),
        Question("how did it act at the end", events[last].action, MOTION),
        Question(f"how did it act after {events[earlier].clause}", events[earlier + 1].action, MOTION),
    ]
    return questions
