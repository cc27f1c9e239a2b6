"""One short file per dataset: where its files are, how they are read, how its videos are named.

A new dataset is a file with a SOURCE, and an entry in one of the two tables below.
"""

from collections.abc import Mapping
from typing import TypeVar

from ..annotations import QASource
from ..captions import CaptionSource
from ..errors import InputError, did_you_mean
from . import agqa, anetqa, msrvttqa, nextqa, star, tgif, vatex

QA_SOURCES: Mapping[str, QASource] = {
    module.SOURCE.name: module.SOURCE for module in (anetqa, agqa, msrvttqa, nextqa, star)
}
CAPTION_SOURCES: Mapping[str, CaptionSource] = {module.SOURCE.name: module.SOURCE for module in (vatex, tgif)}

Source = QASource | CaptionSource
_Source = TypeVar("_Source")


def get_qa_source(name: str) -> QASource:
    """Returns the question-answering dataset of that name. Raises InputError for an unknown one."""
    return _find(name, QA_SOURCES, "question-answering dataset")


def get_caption_source(name: str) -> CaptionSource:
    """Returns the captioned collection of that name. Raises InputError for an unknown one."""
    return _find(name, CAPTION_SOURCES, "captioned collection")


def get_source(name: str) -> Source:
    """Returns the dataset of either kind of that name. Raises InputError for an unknown one."""
    sources: Mapping[str, Source] = {**QA_SOURCES, **CAPTION_SOURCES}
    return _find(name, sources, "dataset")


def _find(name: str, sources: Mapping[str, _Source], kind: str) -> _Source:
    known = tuple(sources)  # looked through, not looked up: from a configuration the name may be anything
    if name not in known:
        raise InputError(f"no {kind} named {name!r}{did_you_mean(str(name), known)}; there are {', '.join(known)}")
    return sources[name]
