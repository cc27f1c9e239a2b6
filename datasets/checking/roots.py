"""All checks of a dataset's folder."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from datasets.errors import InputError, did_you_mean
from datasets.sources import CAPTION_SOURCES, get_caption_source, get_qa_source

from .annotations import check_duplicates, check_vocabulary, read_splits
from .media import check_features, check_frames
from .report import Check

COLLECTIONS = ("vatex", "tgif")  # of the recipe task_pretrain_trm


def check_qa(
    name: str,
    root: Path,
    width: int = 1024,
    max_len: int = 100,
    quick: bool = False,
    jobs: int | None = None,
    splits: Sequence[str] | None = None,
    features: bool = True,
) -> list[Check]:
    """The checks of a question-answering dataset's folder.

    Args:
        features: whether clip features are needed; frames alone are what the `*_mean` baselines read.
    """
    source = get_qa_source(name)
    for split in splits or ():
        if split not in source.split_files:
            known = ", ".join(source.split_files)
            raise InputError(f"--splits {split!r}{did_you_mean(split, source.split_files)}: {name} has {known}")
    splits = splits or list(source.split_files)
    tables, readable = read_splits(source, root, splits)
    needs_vocabulary = "train" in splits or "val" in splits
    checks = [readable, check_vocabulary(tables, root, needs_vocabulary), *check_duplicates(tables)]
    videos = list(dict.fromkeys(video_id for table in tables.values() for video_id in table.video_ids))
    directories = [source.frame_directory.format(video_id=video_id) for video_id in videos]
    checks += check_frames(root / "frames", directories, quick, jobs)
    if features:
        checks += check_features(root / f"{name}.h5", source.feature_key, videos, width, max_len)
    return checks


def check_captions(name: str, root: Path, width: int = 1024, max_len: int = 100) -> list[Check]:
    """All checks of a captioned collection's folder."""
    source = get_caption_source(name)
    readable, shared = Check(f"{name}: annotations"), Check(f"{name}: videos in two splits", fatal=False)
    videos: dict[str, str] = {}
    for split, file in source.split_files.items():
        table = readable.attempt(split, partial(source.read_captions, root / file))
        if table is None:
            continue
        texts = int(table.starts[-1])
        readable.summary += f"{', ' if readable.summary else ''}{split}: {len(table):,} videos, {texts:,} captions"
        for video_id in table.video_ids:
            if videos.setdefault(video_id, split) != split:
                shared.problems.append((video_id, f"in {videos[video_id]} and in {split}"))
    shared.looked_at = len(videos)
    features, unused = check_features(root / f"{name}.h5", source.feature_key, list(videos), width, max_len)
    features.name, unused.name = f"{name}: features", f"{name}: features without captions"
    return [readable, shared, features, unused]


def check_trm(root: Path, datasets: Sequence[str] = COLLECTIONS, **options) -> list[Check]:
    """The checks of captioned collections, each in its folder under `root`; `root` may be the folder of just one."""
    if root.name in CAPTION_SOURCES and not any((root / name).is_dir() for name in datasets):
        return check_captions(root.name, root, **options)
    return [check for name in datasets for check in check_captions(name, root / name, **options)]
