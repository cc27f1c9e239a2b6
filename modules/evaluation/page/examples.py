"""Questions that the page lists, and pictures of their videos."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.annotations import QASource
from datasets.errors import InputError
from datasets.question_table import QuestionTable

from ..answers import Answers

MOST_QUESTIONS = 10_000  # listed
MOST_VIDEOS = 240  # with pictures, …
MOST_PICTURE_BYTES = 5_000_000  # … and fewer if these are full
FRAMES_A_VIDEO = 6  # in two rows
FRAME_SIZE = 112  # pixels, side of a square
PUBLISHED_FPS = 3.0  # frames per second
_JPG_QUALITY = 70
_GAP, _GAP_SHADE = 4, 128  # between frames: pixels, grey


def choose_evenly(strata: Sequence[np.ndarray], most: int, seed: int = 0) -> np.ndarray:
    """Draws questions so that rare kinds are shown as well as frequent ones.

    The first question of every kind comes first, in random order, then the second of every kind, and so on.

    Args:
        strata: int [N] each; questions that agree in all of them are of one kind.

    Returns:
        int64 [min(N, most)], indices of questions.
    """
    _, kinds = np.unique(np.stack(strata, axis=1), axis=0, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(kinds))
    by_kind = order[np.argsort(kinds[order], kind="stable")]
    starts = np.flatnonzero(np.diff(kinds[by_kind], prepend=-1))
    rank = np.empty(len(kinds), dtype=np.int64)
    rank[by_kind] = np.arange(len(kinds)) - np.repeat(starts, np.diff(starts, append=len(kinds)))
    return order[np.argsort(rank[order], kind="stable")][:most]


def pack_questions(
    table: QuestionTable,
    chosen: np.ndarray,
    members: Mapping[str, Mapping[str, np.ndarray]],
    answers: Sequence[Answers],
) -> dict[str, Any]:
    """Questions for the page's script, each text once.

    Returns:
        ``texts``, a list that all other numbers point into or index; ``categories``, a list of [title, label]; and one
        list an attribute of the questions: ``qid``, ``question``, ``video``, ``truth`` (numbers), ``in`` (lists of
        indices into ``categories``); for each model ``given`` (numbers, -1 = missing) and ``best`` (lists of numbers,
        null without).
    """
    places: dict[str, int] = {}

    def place(text: str) -> int:
        return places.setdefault(text, len(places))

    categories = [(title, label, mask) for title, labels in members.items() for label, mask in labels.items()]
    belongs = np.stack([mask[chosen] for _, _, mask in categories]) if categories else np.zeros((0, len(chosen)))
    indices = chosen.tolist()
    packed: dict[str, list] = {
        "qid": [table.qid(index) for index in indices],
        "question": [place(table.question(index)) for index in indices],
        "video": [place(table.video_ids[table.video(index)]) for index in indices],
        "truth": [place(table.answer(index)) for index in indices],
        "in": [np.flatnonzero(column).tolist() for column in belongs.T],
    }
    given, ranked = [], []
    for model in answers:
        given.append([place(model.texts[code]) if code >= 0 else -1 for code in model.codes[chosen].tolist()])
        lists = [None] * len(indices) if model.best is None else model.best.take(chosen).to_pylist()
        ranked.append([None if best is None else [place(text) for text in best] for best in lists])
    packed |= {"given": given, "best": ranked}
    return {"texts": list(places), "categories": [[title, label] for title, label, _ in categories], **packed}


@dataclass(frozen=True)
class Videos:
    """Lengths and pictures of the videos on disk."""

    num_frames: dict[str, int]  # video id -> how many frames there are
    pictures: dict[str, str]  # video id -> a jpg of a few frames, in rows, as a data URI
    fps: float | None = None  # frames per second; None: not known, as every frame was taken


def find_videos(source: QASource, table: QuestionTable, folder: Path) -> dict[str, str]:
    """Video id -> name of its folder of frames, of the videos that have one.

    Raises:
        InputError: none has, or `folder` cannot be listed.
    """
    from datasets.frames import FrameReader

    directories = {video_id: source.frame_directory.replace("{video_id}", video_id) for video_id in table.video_ids}
    missing = dict.fromkeys(FrameReader(folder, FRAMES_A_VIDEO).missing(directories.values()))
    found = {video_id: directory for video_id, directory in directories.items() if directory not in missing}
    if not found:
        raise InputError(
            f"{folder} has frames of none of the {len(table.video_ids):,} videos, such as {next(iter(missing))}/; "
            f"give the folder that preproc/extract_frames.py wrote, e.g. data/{source.name}/frames"
        )
    return found


def frames_per_second(folder: Path) -> float | None:
    """The rate noted by preproc/extract_frames.py (None: all of a video's frames), or else the published one."""
    from datasets.frames import FrameReader

    return (FrameReader(folder, FRAMES_A_VIDEO).settings() or {}).get("fps", PUBLISHED_FPS)


def look_at_videos(source: QASource, table: QuestionTable, folder: Path, wanted: Iterable[int]) -> Videos:
    """Counts the frames of all videos, and makes pictures of some.

    Frames are chosen and cropped as the model sees them. Videos without frames, or with damaged ones, are left out.

    Args:
        wanted: videos to make pictures of (places in `table.video_ids`; repeated ones count once), the most wanted
            first. There are pictures of as many as `MOST_VIDEOS` and `MOST_PICTURE_BYTES` allow.

    Raises:
        InputError: not one video has frames there.
    """
    import cv2
    from einops import rearrange

    from datasets.frames import FrameReader

    directories = find_videos(source, table, folder)
    reader = FrameReader(folder, FRAMES_A_VIDEO, image_size=FRAME_SIZE)
    unusable = reader.problems(directories.values())
    usable = {video_id: directory for video_id, directory in directories.items() if directory not in unusable}
    if not usable:
        raise InputError(next(iter(unusable.values())))
    num_frames = {video_id: len(reader.names(directory)) for video_id, directory in usable.items()}

    def draw(video_id: str) -> tuple[str, str] | None:
        try:
            frames = reader.read(directories[video_id])
        except InputError:
            return None
        frames = np.pad(frames, ((0, 0), (0, 0), (0, _GAP), (0, _GAP)), constant_values=_GAP_SHADE)
        picture = rearrange(frames[:, ::-1], "(rows columns) bgr h w -> (rows h) (columns w) bgr", rows=2)
        jpg = cv2.imencode(".jpg", picture[:-_GAP, :-_GAP], [cv2.IMWRITE_JPEG_QUALITY, _JPG_QUALITY])[1]
        return video_id, "data:image/jpeg;base64," + base64.b64encode(jpg.tobytes()).decode()

    video_ids = [table.video_ids[video] for video in dict.fromkeys(wanted)]
    video_ids = [video_id for video_id in video_ids if video_id in num_frames][:MOST_VIDEOS]
    pictures, size = {}, 0
    with ThreadPoolExecutor() as pool:  # decoding releases the interpreter
        for found in pool.map(draw, video_ids):
            if found is not None and size + len(found[1]) <= MOST_PICTURE_BYTES:
                pictures[found[0]] = found[1]
                size += len(found[1])
    return Videos(num_frames, pictures, frames_per_second(folder))
