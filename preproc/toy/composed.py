"""Questions about a toy video, in the manner of AGQA: records with the fields of its published files."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .questions import yes_no
from .world import SIGN_SHAPES, THINGS, Event, Scene, ToyVideo

# Flags of AGQA's further test splits, which the toy world does not have.
_FLAGS = ("novel_comp", "more_steps", "nc_seq", "nc_sup", "nc_dur", "nc_objrel", "i_obj", "i_rel", "i_act", "i_temp")


# Text, answer, reasoning, semantic and structural type.
Asked = tuple[str, str, list[str], str, str]


def ask(video: ToyVideo, random: np.random.Generator) -> list[dict[str, Any]]:
    """All records about a video."""
    scene = video.scene
    has_thing = yes_no("is there a {}", scene.thing, THINGS, random)
    about_order = _ask_about_order(video.events, random)
    records = [
        ("what shape is the sign", scene.sign_shape, ["obj-rel"], "object", "query"),
        ("what color is the sign", scene.sign_colour, ["obj-rel"], "object", "query"),
        ("what is below the sign", scene.item, ["obj-rel"], "relation", "query"),
        (has_thing.text, has_thing.answer, ["exists", "obj-rel"], "object", "verify"),
        ("are there more than two stones", "yes" if scene.stones > 2 else "no", ["exists"], "relation", "verify"),
        _both(scene, random),
        *about_order,
    ]
    return [_record(video.video_id, *each) for each in records]


def _ask_about_order(events: Sequence[Event], random: np.random.Generator) -> list[Asked]:
    last = len(events) - 1
    earlier, later = int(random.integers(last)), int(random.integers(1, last + 1))
    one, other = random.permutation(len(events))[:2]
    order = "before" if one < other else "after"
    either = sorted((events[place] for place in random.permutation(len(events))[:2]), key=lambda event: event.actor)
    first = min(either, key=events.index)
    after, before = f"what acted after {events[earlier].clause}", f"what acted before {events[later].clause}"
    which = f"which acted first, the {either[0].actor} or the {either[1].actor}"
    did = f"did the {events[one].actor} act before or after the {events[other].actor}"
    return [
        (did, order, ["sequencing"], "action", "compare"),
        (which, first.actor, ["sequencing", "superlative"], "object", "choose"),
        (after, events[earlier + 1].actor, ["sequencing", "obj-act"], "object", "query"),
        (before, events[later - 1].actor, ["sequencing", "obj-act"], "object", "query"),
        ("what acted at the beginning", events[0].actor, ["superlative"], "object", "query"),
        ("what acted at the end", events[last].actor, ["superlative"], "object", "query"),
        ("how did it act at the beginning", events[0].action, ["action-recognition"], "action", "query"),
    ]


def _both(scene: Scene, random: np.random.Generator) -> Asked:
    """Asks whether two statements are both true, which they are half of the time."""
    things = [thing for thing in THINGS if thing != scene.thing]
    shapes = [shape for shape in SIGN_SHAPES if shape != scene.sign_shape]
    thing, shape = scene.thing, scene.sign_shape
    holds = random.random() < 0.5
    if not holds:
        wrong = random.integers(3)  # the first, the second, both
        thing = thing if wrong == 1 else things[random.integers(len(things))]
        shape = shape if wrong == 0 else shapes[random.integers(len(shapes))]
    text = f"is there a {thing} and is the sign a {shape}"
    return text, "yes" if holds else "no", ["exists", "obj-rel"], "object", "logic"


def _record(
    video_id: str, question: str, answer: str, reasoning: list[str], semantic: str, structural: str
) -> dict[str, Any]:
    return {
        "question": question,
        "answer": answer,
        "video_id": video_id,
        "global": reasoning,
        "local": "",
        "semantic": semantic,
        "structural": structural,
        "ans_type": "open" if structural == "query" else "binary",
        "steps": 1 + ("sequencing" in reasoning) + (structural == "logic"),
        "program": "",
        "sg_grounding": {},
        "direct_equiv": None,
        **dict.fromkeys(_FLAGS, 0),
    }
