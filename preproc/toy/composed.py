"""Questions about a toy video, in the manner of AGQA: records with the fields of its published files."""

from typing import Any

import numpy as np

from .questions import yes_no
from .world import SIGN_SHAPES, THINGS, ToyVideo

# Flags of AGQA's further test splits, which the toy world does not have.
_FLAGS = ("novel_comp", "more_steps", "nc_seq", "nc_sup", "nc_dur", "nc_objrel", "i_obj", "i_rel", "i_act", "i_temp")


def ask(video: ToyVideo, random: np.random.Generator) -> list[dict[str, Any]]:
    """All records about a video."""
    scene, events = video.scene, video.events
    last = len(events) - 1
    has_thing = yes_no("is there a {}", scene.thing, THINGS, random)
    many_stones = "yes" if scene.stones > 2 else "no"
    earlier = int(random.integers(last))
    later = int(random.integers(1, last + 1))
    one, other = random.permutation(len(events))[:2]
    either = sorted((events[place] for place in random.permutation(len(events))[:2]), key=lambda event: event.actor)
    first = min(either, key=events.index)

    return [
        _record(video, "what shape is the sign", scene.sign_shape, ["obj-rel"], "object", "query"),
        _record(video, "what color is the sign", scene.sign_colour, ["obj-rel"], "object", "query"),
        _record(video, "what is below the sign", scene.item, ["obj-rel"], "relation", "query"),
        _record(video, has_thing.text, has_thing.answer, ["exists", "obj-rel"], "object", "verify"),
        _record(video, "are there more than two stones", many_stones, ["exists"], "relation", "verify"),
        _both(video, random),
        _record(
            video,
            f"did the {events[one].actor} act before or after the {events[other].actor}",
            "before" if one < other else "after",
            ["sequencing"],
            "action",
            "compare",
        ),
        _record(
            video,
            f"which acted first, the {either[0].actor} or the {either[1].actor}",
            first.actor,
            ["sequencing", "superlative"],
            "object",
            "choose",
        ),
        _record(
            video,
            f"what acted after {events[earlier].clause}",
            events[earlier + 1].actor,
            ["sequencing", "obj-act"],
            "object",
            "query",
        ),
        _record(
            video,
            f"what acted before {events[later].clause}",
            events[later - 1].actor,
            ["sequencing", "obj-act"],
            "object",
            "query",
        ),
        _record(video, "what acted at the beginning", events[0].actor, ["superlative"], "object", "query"),
        _record(video, "what acted at the end", events[last].actor, ["superlative"], "object", "query"),
        _record(
            video,
            "how did it act at the beginning",
            events[0].action,
            ["action-recognition"],
            "action",
            "query",
        ),
    ]


def _both(video: ToyVideo, random: np.random.Generator) -> dict[str, Any]:
    """Asks whether two statements are both true, which they are half of the time."""
    scene = video.scene
    things = [thing for thing in THINGS if thing != scene.thing]
    shapes = [shape for shape in SIGN_SHAPES if shape != scene.sign_shape]
    thing, shape = scene.thing, scene.sign_shape
    holds = random.random() < 0.5
    if not holds:
        wrong = random.integers(3)  # the first, the second, both
        thing = thing if wrong == 1 else things[random.integers(len(things))]
        shape = shape if wrong == 0 else shapes[random.integers(len(shapes))]
    text = f"is there a {thing} and is the sign a {shape}"
    return _record(video, text, "yes" if holds else "no", ["exists", "obj-rel"], "object", "logic")


def _record(
    video: ToyVideo, question: str, answer: str, reasoning: list[str], semantic: str, structural: str
) -> dict[str, Any]:
    return {
        "question": question,
        "answer": answer,
        "video_id": video.video_id,
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
