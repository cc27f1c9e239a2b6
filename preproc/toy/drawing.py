"""A toy video as pixels. Drawn by OpenCV in fractions of a pixel; the same video gives the same pixels."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from .world import COLOURS, Event, Scene, ToyVideo

SKY = (150, 190, 220)  # the same everywhere, so that actors stand out as much in one place as in another
GROUNDS = {
    "beach": (240, 220, 140),
    "city": (120, 120, 125),
    "desert": (205, 120, 60),
    "lake": (40, 90, 200),
    "meadow": (90, 170, 70),
    "snow": (245, 248, 252),
}
# The picture is laid out in four rows and columns, as an image encoder of 4 × 4 patches sees it: what stands at a side
# fills a cell, and so does each stone of the lowest row. Actors have the middle.
COLUMNS = {"left": 0.125, "right": 0.875}
ROWS = {"high": 0.125, "middle": 0.375, "low": 0.625}
HORIZON = 0.76
CELL_RADIUS = 0.11  # lengths are in sides of the picture
FIRST_STONE, NEXT_STONE, STONE_RADIUS = (0.125, 0.885), (0.25, 0.0), 0.07
STAGE = (0.5, 0.38)  # where actors act
BROWN, DARK, LIGHT = (120, 80, 40), (15, 15, 15), (235, 235, 235)
FRACTION_BITS = 4  # of OpenCV's fixed-point coordinates


def render(video: ToyVideo, size: int) -> Iterator[np.ndarray]:
    """The frames of a video, uint8 RGB [size, size, 3]."""
    random = np.random.default_rng(video.seed)
    still = draw_background(video.scene, size, random)
    length = video.num_frames / len(video.events)
    jitter = [(random.normal(0, 0.02, 2), random.normal(0, 0.12)) for _ in video.events]
    for frame in range(video.num_frames):
        number = int(frame / length)
        image = still.copy()
        progress = (frame + 0.5 - number * length) / length
        event, (shift, angle) = video.events[number], jitter[number]  # of the actor, from the middle of the stage
        ACTION_DRAWERS[event.action](image, event, progress, STAGE + shift, angle)
        yield image


def draw_background(scene: Scene, size: int, random: np.random.Generator) -> np.ndarray:
    """Everything that stands still."""
    image = np.empty((size, size, 3), np.uint8)
    horizon = round(HORIZON * size)
    image[:horizon], image[horizon:] = SKY, GROUNDS[scene.place]
    grain = cv2.resize(random.normal(0, 4, (size // 4, size // 4)), (size, size), interpolation=cv2.INTER_LINEAR)
    image = np.clip(image + grain[..., None], 0, 255).astype(np.uint8)

    below = list(ROWS)[list(ROWS).index(scene.sign_height) + 1]
    other_side = next(side for side in COLUMNS if side != scene.sign_side)
    for name, side, height in (
        ("sign", scene.sign_side, scene.sign_height),
        (scene.item, scene.sign_side, below),
        (scene.thing, other_side, scene.thing_height),
    ):
        centre = np.array((COLUMNS[side], ROWS[height])) + random.uniform(-0.01, 0.01, 2)
        _draw_sight(image, name, centre)
        if name == "sign":
            draw_shape(image, scene.sign_shape, scene.sign_colour, centre, 0.8 * CELL_RADIUS)
    for stone in range(scene.stones):
        centre = np.array(FIRST_STONE) + stone * np.array(NEXT_STONE) + random.uniform(-0.01, 0.01, 2)
        _polygon(image, _circle() * (1.2, 0.8) * STONE_RADIUS + centre, (60, 50, 45))
    return image


def draw_shape(
    image: np.ndarray, shape: str, colour: str, centre: np.ndarray, radius: float, angle: float = 0.0
) -> None:
    """A filled, outlined shape."""
    cos, sin = np.cos(angle), np.sin(angle)
    points = OUTLINES[shape]() @ np.array([[cos, sin], [-sin, cos]]) * radius + centre
    _polygon(image, points, COLOURS[colour], LIGHT if colour == "black" else DARK)


# --- what actors do: each leaves its own mark in the picture ----------------------------------------------------------


def _grow(image: np.ndarray, event: Event, progress: float, centre: np.ndarray, angle: float) -> None:
    draw_shape(image, event.shape, event.colour, centre, 0.22 + 0.06 * progress, angle)


def _glow(image: np.ndarray, event: Event, progress: float, centre: np.ndarray, angle: float) -> None:
    rays = _circle(24) * np.where(np.arange(24) % 2, 0.75, 1.1)[:, None]
    _polygon(image, rays * (0.24 + 0.03 * progress) + centre, (255, 250, 225), (255, 225, 150))
    draw_shape(image, event.shape, event.colour, centre, 0.19, angle)


def _smoke(image: np.ndarray, event: Event, progress: float, centre: np.ndarray, angle: float) -> None:
    for puff in range(4):
        height = (puff / 4 + progress) % 1
        at = centre + np.array((0.09 * (-1) ** puff, -0.05 - 0.24 * height))
        _polygon(image, _circle() * (0.07 + 0.04 * height) + at, (95, 95, 95), (60, 60, 60))
    draw_shape(image, event.shape, event.colour, centre + np.array((0, 0.08)), 0.19, angle)


def _sink(image: np.ndarray, event: Event, progress: float, centre: np.ndarray, angle: float) -> None:
    """Into a pool that hides its lower part."""
    draw_shape(image, event.shape, event.colour, centre + np.array((0, 0.08 * progress - 0.08)), 0.22, angle)
    _box(image, centre, 0.25, (-1, 0.4, 1, 1.1), (40, 190, 190))


def _hide(image: np.ndarray, event: Event, progress: float, centre: np.ndarray, angle: float) -> None:
    """Behind a fence, from side to side."""
    draw_shape(image, event.shape, event.colour, centre + np.array((0.08 * progress - 0.04, 0)), 0.22, angle)
    for post in range(4):
        _box(image, centre + np.array((0.15 * post - 0.225, 0)), 0.25, (-0.1, -1, 0.1, 1), (190, 130, 80))


ACTION_DRAWERS = {"grows": _grow, "glows": _glow, "smokes": _smoke, "sinks": _sink, "hides": _hide}


# --- outlines, within a circle of radius 1 or so ---------------------------------------------------------------------


def _circle(corners: int = 40, turn: float = 0.0) -> np.ndarray:
    angles = np.arange(corners) * 2 * np.pi / corners + turn
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _heart() -> np.ndarray:
    t = np.arange(40) * 2 * np.pi / 40
    x, y = 16 * np.sin(t) ** 3, 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y], axis=1) / 15.5


def _cross() -> np.ndarray:
    arm = np.array([[0.42, -0.42], [0.42, -1.1], [-0.42, -1.1]])
    quarter = np.array([[0, -1], [1, 0]])
    return np.concatenate([arm @ np.linalg.matrix_power(quarter, turns) for turns in range(4)])


OUTLINES = {
    "circle": _circle,
    "square": lambda: _circle(4, np.pi / 4) * 1.2,
    "triangle": lambda: _circle(3, -np.pi / 2) * 1.15 + (0, 0.15),
    "star": lambda: _circle(10, -np.pi / 2) * np.where(np.arange(10) % 2, 0.6, 1.2)[:, None],
    "heart": _heart,
    "diamond": lambda: _circle(4) * (0.95, 1.2),
    "cross": _cross,
    "hexagon": lambda: _circle(6),
}


# --- what stands at a side --------------------------------------------------------------------------------------------


# Name -> the parts of a thing from back to front, in cells: sides of a box or corners, and a colour.
SIGHTS: dict[str, list[tuple[Any, tuple]]] = {
    "ball": [(_circle() * 0.85, (255, 150, 190)), ((-0.85, -0.2, 0.85, 0.2), LIGHT)],
    "box": [((-0.9, -0.6, 0.9, 0.9), (200, 150, 90)), ((-0.9, 0, 0.9, 0.3), BROWN)],
    "bush": [(_circle() * 0.55 + place, (95, 130, 40)) for place in ((-0.45, 0.3), (0.45, 0.3), (0, -0.1))],
    "bucket": [([(-0.9, -0.6), (0.9, -0.6), (0.6, 0.9), (-0.6, 0.9)], (90, 95, 110))],
    "lamp": [((-0.1, -0.2, 0.1, 1), DARK), ([(-0.4, -0.9), (0.4, -0.9), (0.9, 0), (-0.9, 0)], (255, 235, 120))],
    "tree": [((-0.2, 0.1, 0.2, 1), BROWN), (_circle() * 0.72 - (0, 0.3), (30, 110, 50))],
    "house": [((-0.75, -0.1, 0.75, 1), (225, 205, 170)), ([(-1, -0.1), (0, -1), (1, -0.1)], (150, 60, 50))],
    "boat": [
        ([(-1, 0.35), (1, 0.35), (0.6, 0.95), (-0.6, 0.95)], BROWN),
        ([(0.05, -1), (0.05, 0.25), (0.8, 0.25)], LIGHT),
    ],
    "sign": [((-1, -1, 1, 1), (215, 215, 210))],
    "flag": [((-0.75, -1, -0.6, 1), DARK), ((-0.6, -1, 0.9, -0.45), (200, 40, 60)), ((-0.6, -0.45, 0.9, 0.1), LIGHT)],
    "car": [
        ((-0.55, -0.45, 0.55, 0.1), (170, 215, 235)),
        ((-1, 0.05, 1, 0.6), (60, 130, 150)),
        *((_circle() * 0.28 + (side, 0.65), DARK) for side in (-0.55, 0.55)),
    ],
}


def _draw_sight(image: np.ndarray, name: str, centre: np.ndarray) -> None:
    for part, colour in SIGHTS[name]:
        if np.ndim(part) == 1:
            _box(image, centre, CELL_RADIUS, part, colour)
        else:
            _polygon(image, np.asarray(part) * CELL_RADIUS + centre, colour)


def _box(image: np.ndarray, centre: np.ndarray, radius: float, sides: tuple, colour: tuple) -> None:
    left, top, right, bottom = sides
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    _polygon(image, corners * radius + centre, colour)


def _polygon(image: np.ndarray, points: np.ndarray, colour: tuple, edge: tuple = DARK) -> None:
    """Points in sides of the picture."""
    size = image.shape[0]
    points = np.round((points * size - 0.5) * 2**FRACTION_BITS).astype(np.int32)
    cv2.fillPoly(image, [points], colour, cv2.LINE_AA, FRACTION_BITS)
    cv2.polylines(image, [points], True, edge, 1, cv2.LINE_AA, FRACTION_BITS)
