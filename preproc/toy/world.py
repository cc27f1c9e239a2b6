"""Contents of the toy world: scenes that stand still, and shapes that act in them one after the other.

What stands still is for questions that a single frame answers. In which order the shapes act, and so what is done first
or next, cannot be seen in any one frame, nor in a set of frames without their order.
"""

from dataclasses import dataclass

import numpy as np

COLOURS = {
    "red": (220, 30, 40),
    "blue": (30, 70, 230),
    "green": (20, 150, 50),
    "yellow": (250, 215, 20),
    "purple": (140, 40, 180),
    "orange": (245, 130, 20),
    "white": (250, 250, 250),
    "black": (20, 20, 20),
}

# The shapes that act. Their colours alone tell them apart, and the palest is on a large shape, so that coarse clip
# features suffice to do so.
ACTORS = (("red", "diamond"), ("blue", "cross"), ("green", "triangle"), ("yellow", "hexagon"), ("purple", "heart"))

# A frame shows which of them it is, as it shows the actor, but not what came before.
ACTIONS = ("grows", "glows", "smokes", "sinks", "hides")

PLACES = ("beach", "city", "desert", "lake", "meadow", "snow")
SIGN_SHAPES = ("circle", "square", "triangle", "cross", "diamond")
THINGS = ("tree", "house", "boat", "flag", "car")
ITEMS = ("ball", "box", "bush", "bucket", "lamp")
SIDES = ("left", "right")
HEIGHTS = ("high", "middle", "low")
MOST_STONES = 4

FPS = 8
EVENT_FRAMES = 16  # 2 s: two windows of 8 frames for the clip features, 6 frames at 3 per second
EVENTS_IN_A_ROW = 3


@dataclass(frozen=True)
class Event:
    """One shape doing one thing."""

    colour: str
    shape: str
    action: str

    @property
    def actor(self) -> str:
        return f"{self.colour} {self.shape}"

    @property
    def clause(self) -> str:
        """The sentence about it: ``the red diamond grows``."""
        return f"the {self.actor} {self.action}"


@dataclass(frozen=True)
class Scene:
    """Things that stand still all through a video: on one side a sign with an item below it, on the other a thing."""

    place: str
    sign_colour: str
    sign_shape: str
    sign_side: str
    sign_height: str  # not "low": there is room below
    item: str
    thing: str
    thing_height: str
    stones: int


@dataclass(frozen=True)
class ToyVideo:
    """One video."""

    video_id: str
    scene: Scene  # its background
    events: tuple[Event, ...]  # what happens, in order; each by another actor
    num_frames: int  # of the whole video; each event takes an equal part
    seed: int  # of what is left to chance in the picture: noise, and where exactly things are


def draw_scene(random: np.random.Generator) -> Scene:
    """Any scene is as likely as any other."""
    return Scene(
        place=_one_of(PLACES, random),
        sign_colour=_one_of(tuple(COLOURS), random),
        sign_shape=_one_of(SIGN_SHAPES, random),
        sign_side=_one_of(SIDES, random),
        sign_height=_one_of(HEIGHTS[:-1], random),
        item=_one_of(ITEMS, random),
        thing=_one_of(THINGS, random),
        thing_height=_one_of(HEIGHTS, random),
        stones=int(random.integers(1, MOST_STONES + 1)),
    )


def draw_events(count: int, random: np.random.Generator) -> tuple[Event, ...]:
    """Different actors in any order; each does anything."""
    actors = [ACTORS[index] for index in random.permutation(len(ACTORS))[:count]]
    return tuple(Event(colour, shape, _one_of(ACTIONS, random)) for colour, shape in actors)


def draw_video(video_id: str, events: int, num_frames: int, random: np.random.Generator) -> ToyVideo:
    return ToyVideo(
        video_id, draw_scene(random), draw_events(events, random), num_frames, seed=int(random.integers(2**31))
    )


def captions(event: Event) -> list[str]:
    """Two wordings. Few, because captions that say the same in other words are taken for different ones."""
    return [f"a {event.actor} {event.action}", event.clause]


def _one_of(values: tuple[str, ...], random: np.random.Generator) -> str:
    return values[random.integers(len(values))]
