"""Probes: the same questions, with the evidence taken away or rearranged; docs/evaluation.md defines each.

What a stream sees of a video is a *view*. It is a function of the video, of its id and of the seed, so that it is the
same in whatever batch and process the video is read.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import get_args

import numpy as np
from torch.utils.data import default_collate

from datasets.errors import InputError
from datasets.qa import VideoSample
from datasets.settings import ProbeName

from .batch import Batch, QACollate, pad_clips

# Probe -> the views of frames and clips.
PROBES: Mapping[str, tuple[str, str]] = {
    "none": ("plain", "plain"),
    "reverse_clips": ("plain", "reversed"),
    "shuffle_clips": ("plain", "shuffled"),
    "freeze_clips": ("plain", "frozen"),
    "no_clips": ("plain", "nothing"),
    "reverse_frames": ("reversed", "plain"),
    "shuffle_frames": ("shuffled", "plain"),
    "one_frame": ("middle", "plain"),
    "no_frames": ("nothing", "plain"),
    "swap_video": ("other", "other"),
    "question_only": ("nothing", "nothing"),
}
assert ("all", *PROBES) == get_args(ProbeName)
# Of several probes in one pass: the network averages over frames, to which their order is all the same.
_FRAMES_ALIKE = {"reversed": "plain", "shuffled": "plain"}


def _shuffled(number: int, random: np.random.Generator) -> np.ndarray:
    """Any order but the present one, where there is another."""
    order = random.permutation(number)
    while number > 1 and (order == np.arange(number)).all():
        order = random.permutation(number)
    return order


_ORDERS: Mapping[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "reversed": lambda number, _: np.arange(number)[::-1],
    "shuffled": _shuffled,
    "frozen": lambda number, _: np.full(number, (number - 1) // 2),
    "middle": lambda number, _: np.array([(number - 1) // 2]),
}


def chosen_probes(names: Iterable[str], temporal: bool) -> list[str]:
    """Probes in the order of PROBES, each once; "all" are those that touch a stream of the model, without "none"."""
    names = set(names)
    if "all" in names:
        names |= {name for name in PROBES if name != "none" and (temporal or not name.endswith("_clips"))}
    return [name for name in PROBES if name in names]


def see(sample: VideoSample, stream: str, view: str, seed: int) -> np.ndarray:
    """Gives a stream, "frames" or "clips", its view of a video.

    Returns:
        ``[F, 3, H, W]``, uint8 or, where nothing is seen, zeros for a normalised frame; or ``[S, features]``.
    """
    evidence = getattr(sample.other if view == "other" else sample, stream)
    if view == "nothing":
        return evidence[:0] if stream == "clips" else np.zeros((1, *evidence.shape[1:]), np.float32)
    if view in _ORDERS:
        random = np.random.default_rng(_number(seed, sample.video_id))
        return evidence[_ORDERS[view](len(evidence), random)]
    return evidence


class ProbeCollate:
    """Joins samples to a batch from which `probed` makes that of each probe; every view is in it once."""

    def __init__(self, collate: QACollate, probes: Sequence[str], seed: int):
        self.collate, self.probes, self.seed = collate, list(probes), seed

    def __call__(self, samples: Sequence[VideoSample]) -> Batch:
        batch = self.collate(samples)
        frames, clips = {"plain": batch.pop("frames")}, {}
        if "clips" in batch:
            clips["plain"] = batch.pop("clips"), batch.pop("clip_mask")
        for probe in self.probes:
            of_frames, of_clips = _view_of_frames(probe, self.probes), PROBES[probe][1]
            if of_frames not in frames:
                frames[of_frames] = default_collate([see(sample, "frames", of_frames, self.seed) for sample in samples])
            if clips and of_clips not in clips:
                clips[of_clips] = pad_clips([see(sample, "clips", of_clips, self.seed) for sample in samples])
        return {**batch, "probes": self.probes, "views": {"frames": frames, "clips": clips}}


def probed(batch: Batch, probe: str) -> Batch:
    """The batch as it is under a probe; `evidence` says by name what each stream sees, see `DeST.forward`."""
    views = batch["views"]
    evidence = {"frames": _view_of_frames(probe, batch["probes"])}
    seen = {"frames": views["frames"][evidence["frames"]]}
    if views["clips"]:
        evidence["clips"] = PROBES[probe][1]
        seen["clips"], seen["clip_mask"] = views["clips"][evidence["clips"]]
    return {**batch, **seen, "evidence": evidence}


def partners(video_ids: Sequence[str], seed: int, split: str) -> dict[str, str]:
    """Video -> another one of the split, every one once: the next of a circle in which the seed has put them.

    Raises:
        InputError: there is no other.
    """
    if len(video_ids) < 2:
        raise InputError(f"probe=swap_video needs another video, and {split} has but one")
    circle = sorted(video_ids, key=lambda video_id: _number(seed, video_id))
    return dict(zip(circle, circle[1:] + circle[:1], strict=True))


def _view_of_frames(probe: str, probes: Sequence[str]) -> str:
    view = PROBES[probe][0]
    return _FRAMES_ALIKE.get(view, view) if len(probes) > 1 else view


def _number(seed: int, video_id: str) -> int:
    """Hashes alike on any machine and with any version of Python."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{video_id}".encode()).digest())
