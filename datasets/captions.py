"""Captioned collections: short videos with one or more captions each, from which pre-training makes its questions.

A collection is added in a file of a few lines; see `datasets/sources/vatex.py`.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from .annotations import json_list_rows
from .errors import InputError
from .names import video_id_problem
from .question_table import text_problem

# Two captions that differ in these alone say the same; one must not be right where the other is wrong.
ARTICLES = ("a", "an", "the")


class CaptionTable:
    """The captions of one split, by column: Arrow and numpy memory that workers share instead of copying.

    The captions of all videos stand in one sequence, those of a video adjacent; a caption's number is its place there.
    """

    def __init__(self, captions: Mapping[str, Sequence[str]]):
        """`captions`: video id -> its captions, at least one."""
        texts = [text for own in captions.values() for text in own]
        self._video_ids = pa.array(list(captions), pa.large_string())
        self._texts = pa.array(texts, pa.large_string())
        # int64 [videos + 1]: the captions of video v are the numbers starts[v] .. starts[v + 1] - 1.
        self.starts = np.concatenate([[0], np.cumsum([len(own) for own in captions.values()], dtype=np.int64)])
        meanings: dict[str, int] = {}
        # int32 [captions]: equal for captions that read the same.
        self.meanings = np.array([meanings.setdefault(plain(text), len(meanings)) for text in texts], dtype=np.int32)
        self.num_meanings = len(meanings)

    def __len__(self) -> int:
        """The number of videos."""
        return len(self._video_ids)

    def video_id(self, video: int) -> str:
        return self._video_ids[video].as_py()

    @property
    def video_ids(self) -> list[str]:
        return self._video_ids.to_pylist()

    def text(self, caption: int) -> str:
        return self._texts[caption].as_py()

    def captions(self, video: int) -> list[str]:
        return self._texts[self.starts[video] : self.starts[video + 1]].to_pylist()


@dataclass(frozen=True)
class CaptionSource:
    """All that tells one captioned collection from another; one instance per file, named SOURCE."""

    name: str  # as in `data/<name>` and the configuration
    split_files: Mapping[str, str]  # split ("train", "val") -> file name in the data folder
    read_captions: Callable[[Path], CaptionTable]  # path -> table; picklable, so a function of a module
    feature_key: str = "{video_id}"  # key of a video in `<name>.h5`, with `{video_id}` to fill in
    frame_directory: str = "{video_id}"  # folder of a video in `frames/`, which pre-training does not read


def plain(text: str) -> str:
    """Reduces a caption to what it is compared by: without case, accents, articles and closing punctuation."""
    text = text.lower()
    if not text.isascii():
        text = "".join(letter for letter in unicodedata.normalize("NFD", text) if unicodedata.category(letter) != "Mn")
    return " ".join([word for word in text.rstrip(" .!?").split() if word not in ARTICLES])


def read_caption_records(path: str | Path, id_field: str, caption_field: str) -> CaptionTable:
    """Reads a JSON list of records, each with a video id and a caption or a list of captions; other fields are ignored.

    Records of one video come together as several captions of it.

    Raises:
        InputError: the file cannot be read or is no such list; a field is missing, empty or of another type; a video
            id that cannot be a file name.
    """
    captions: dict[str, list[str]] = {}
    for where, record in json_list_rows(Path(path)):
        video_id: Any = record.get(id_field)
        own: Any = record.get(caption_field)
        own = [own] if isinstance(own, str) else own
        problem = text_problem(record, [id_field]) or video_id_problem(video_id)
        if not problem and (not isinstance(own, list) or not own):
            problem = f"the captions are {own!r}, not a caption or a list of captions"
        if problem := problem or next(filter(None, map(caption_problem, own)), None):
            raise InputError(f"{path}, {where}: {problem}")
        captions.setdefault(video_id, []).extend(text.strip() for text in own)
    if not captions:
        raise InputError(f"{path} has no captions")
    return CaptionTable(captions)


def caption_problem(text: object) -> str | None:
    """Says what is wrong unless `text` is a caption: Unicode text that says something."""
    if not isinstance(text, str):
        return f"the caption {text!r} is not text"
    if not plain(text) or "\0" in text:
        return f"the caption {text!r} says nothing"
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        return f"the caption {text!r} is not Unicode text"
    return None
