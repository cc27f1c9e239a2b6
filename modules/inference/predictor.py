"""A checkpoint, a video file, a question: the best answers, and where in the video they were found.

from modules.inference.predictor import Predictor

predictor = Predictor.open("result/anetqa_seed0/version_0/checkpoints/best.ckpt", "swin_base_….pth")
(answer,) = predictor.answer(predictor.encode_video("clip.mp4"), ["what is the person doing"])
print(answer.best, answer.probabilities)
"""

import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules.batch import Questions, pad_clips
from datamodules.settings import DataSettings
from datamodules.tokenization import MAX_POSITIONS, TextTokenizer, load_tokenizer
from datasets.annotations import note_of_answers, read_answers, read_vocabulary
from datasets.errors import InputError
from datasets.video.frames import FrameSettings
from datasets.video.windows import WindowBatch
from modules.checkpoints.metadata import trained_on
from modules.checkpoints.names import KINDS, WAYS_OUT, kind_of, published_name
from modules.checkpoints.network import build_network
from modules.checkpoints.reader import CheckpointFile, read_checkpoint
from modules.config.assembly import construct, settings_of_checkpoint
from modules.config.checks import check_tokenizer
from modules.models.dest import DeST, VideoMemory
from modules.models.memory import full_memory
from modules.models.settings import ModelSettings
from modules.models.transfer import send

from .attention_maps import AttentionMaps, attention_maps
from .feature_extractor import FeatureExtractor
from .video_input import ClipSettings, VideoInput, make_extractor, read_clips, read_frames

AUTOCAST = {16: torch.float16, "bf16": torch.bfloat16}


@contextmanager
def _full_memory_told(lower: str | None = None, halve: bool = False) -> Iterator[None]:
    """Errors of full memory come out as an InputError with the way out."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        full = full_memory(error)
        if full is None:
            raise
        ways = [f"lower {lower}"] if lower else []
        ways += ["set precision=bf16"] if halve else []
        ways += ["set accelerator=cpu"] if full == "GPU" else []
        ways += ["free some of it"]
        raise InputError(f"the {full}'s memory is full; {', or '.join(ways)}") from error


@dataclass(frozen=True)
class VideoSettings:
    """Sampling of a video, and the lengths of what is read of it and of a question."""

    nframe: int = DataSettings.nframe
    trim: float = DataSettings.trim
    image_size: int = DataSettings.image_size
    max_video_len: int = DataSettings.max_video_len
    max_text_len: int | None = DataSettings.max_text_len


@dataclass(frozen=True)
class EncodedVideo:
    """A video, read and encoded, ready for any number of questions."""

    path: Path
    seen: VideoInput
    memory: VideoMemory


@dataclass(frozen=True)
class Answer:
    """The answers to one question."""

    question: str
    best: list[str]  # answers, the most probable first
    probabilities: list[float]  # theirs, out of the whole vocabulary
    logits: Tensor  # of the whole vocabulary, [A]
    maps: AttentionMaps | None  # attention of the first one, if asked for


class Predictor:
    """A network with all it takes to answer questions about video files. `open` makes one from a checkpoint.

    Several threads may use it: the network does one thing at a time, while any number of videos is decoded.

    Attributes:
        notes: remarks for the user, such as that the weights are random.
        seconds: duration of each stage, by name, the last time in this thread.
    """

    def __init__(
        self,
        network: DeST,
        tokenizer: TextTokenizer,
        vocabulary: Sequence[str],
        video: VideoSettings,
        frames: FrameSettings,
        clips: ClipSettings | None,
        extractor: FeatureExtractor | None,
        device: str = "cpu",
        precision: int | str = 32,
        questions_at_once: int = 8,
    ):
        """
        Args:
            clips, extractor: extraction of its clip features; None without a temporal stream.
            questions_at_once: the most questions in one pass: memory is bounded, however many are asked.
        """
        self.network = network.eval().requires_grad_(False).to(device)
        self.tokenizer = tokenizer
        self.vocabulary = list(vocabulary)
        self.video_settings = video
        self.frame_settings = frames
        self.clip_settings = clips
        self.extractor = extractor
        self.device = torch.device(device)
        self.precision = precision
        self.questions_at_once = questions_at_once
        self.notes: list[str] = []
        self._times = threading.local()
        self._computing = threading.RLock()
        self.positions = min(network.sizes.max_text_positions, MAX_POSITIONS)  # tokens a text at most

    @classmethod
    @_full_memory_told()
    def open(
        cls,
        load_path: str | Path | None,
        swin_path: str | Path | None = None,
        settings: Mapping[str, Any] | None = None,
        given: Collection[str] | None = None,
        device: str = "cpu",
        precision: int | str = 32,
        recipes: Sequence[str] = (),
    ) -> "Predictor":
        """A predictor from a checkpoint; `VideoSettings` and `ModelSizes` have what neither that nor `settings` say.

        A published checkpoint says nothing but its weights: `settings` must be those of its recipe (see config.py).

        Args:
            load_path: any checkpoint of a network that answers; None: random weights.
            swin_path: the Video Swin checkpoint that the training features were made with.
            settings: of a run, by name (see config.py); `answers` and `answer_file` take the place of the
                checkpoint's; `data_root` for the vocabulary and `tokenizer`, where it brings none.
            given: those of them that decide over the checkpoint's; default: all.
            recipes: those that `settings` come from; without one, a note tells those of a checkpoint without record.

        Raises:
            InputError: a file cannot be read, does not fit, or is missing; names it. Or memory is full.
        """
        start = time.perf_counter()
        settings = dict(settings or {})
        given = settings.keys() if given is None else given
        checkpoint = read_checkpoint(load_path) if load_path is not None else None
        made_with = (checkpoint.metadata if checkpoint is not None else None) or {}
        for schema in (DataSettings, ModelSettings):
            settings |= settings_of_checkpoint(schema, made_with.get("config", {}), True, given, ())
        settings |= {"spatial": True, "drop_rate": 0.0}
        if checkpoint is not None and _check_answers(checkpoint, made_with) == "mean":
            settings["temporal"] = False
        vocabulary, told = _find_answers(load_path, made_with, settings)
        brought = made_with.get("tokenizer_vocabulary")
        words = None if "tokenizer" in given else brought
        tokenizer = load_tokenizer(words or settings.get("tokenizer", "bert-base-uncased"))
        torch.manual_seed(settings.get("seed", 0))
        network = build_network(checkpoint, settings, verbose=False)
        check_tokenizer(tokenizer.vocab, settings | {"bert_config": network.sizes.as_dict()}, brought)
        video = construct(VideoSettings, settings, network.sizes)
        record = made_with.get("preprocessing") or {}
        frames = FrameSettings.of_record(record["frames"]) if record.get("frames") else FrameSettings()
        clips, extractor, notes = None, None, []
        if network.temporal:
            _check_positions(video, network)
            known = ClipSettings.of_record(record["clips"]) if record.get("clips") else None
            width, is_random = network.sizes.input_video_embed_size, checkpoint is None
            extractor, clips, notes = make_extractor(known, swin_path, width, device, untrained=is_random)
        if checkpoint is None:
            notes.insert(0, "no load_path: the weights are random, and so are the answers")
        elif not made_with.get("config") and not recipes:
            notes.append(_note_of_settings(load_path, video, network))
        predictor = cls(network, tokenizer, vocabulary, video, frames, clips, extractor, device, precision)
        predictor.questions_at_once = settings.get("per_gpu_batchsize", predictor.questions_at_once)
        predictor.notes = notes + [f"trained on {said}" for said in [trained_on(made_with)] if said] + told
        predictor.seconds["loading"] = time.perf_counter() - start
        return predictor

    @property
    def seconds(self) -> dict[str, float]:
        return vars(self._times)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        lower = f"nframe (now {self.video_settings.nframe}) or per_gpu_batchsize (now {self.questions_at_once})"
        start = time.perf_counter()
        with _full_memory_told(lower, halve=self.precision not in AUTOCAST):
            yield
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
        self.seconds[name] = time.perf_counter() - start

    def _autocast(self) -> torch.autocast:
        dtype = AUTOCAST.get(self.precision)
        return torch.autocast(self.device.type, dtype, enabled=dtype is not None)

    @torch.no_grad()
    def encode_video(self, path: str | Path) -> EncodedVideo:
        """Reads a video and computes all that no question is needed for. Raises InputError when it cannot be used,
        or memory is full.
        """
        path, settings = Path(path), self.video_settings
        with self._stage("frames"):
            frames, times, seconds, damage = read_frames(
                path, self.frame_settings, settings.nframe, settings.trim, settings.image_size
            )
        clips = spans = None
        if self.network.temporal:
            with self._stage("clip features"):
                clips, spans, more_damage = read_clips(
                    path, self._extract, self.clip_settings, settings.max_video_len, seconds
                )
                damage = damage or more_damage
        seen = VideoInput(frames, times, clips, spans, seconds, damage)
        with self._computing:
            return EncodedVideo(path, seen, self.encode(seen))

    def _extract(self, batch: WindowBatch) -> Tensor:
        with self._computing:
            return self.extractor(batch)

    @torch.no_grad()
    def encode(self, seen: VideoInput) -> VideoMemory:
        """The video's part of the network: all that no question is needed for."""
        batch = {"frames": torch.from_numpy(seen.frames)[None]}
        if self.network.temporal:
            batch["clips"], batch["clip_mask"] = pad_clips([seen.clips])
        with self._stage("video"), self._autocast():
            batch = {name: send(value, self.device) for name, value in batch.items()}
            return self.network.project_videos(self.network.encode_videos(batch))

    @cached_property
    @torch.no_grad()
    def answer_features(self) -> Tensor:
        """Features of the whole vocabulary, [A, head_width]."""
        ids, mask = self.tokenizer.encode(self.vocabulary, self.positions)
        with self._autocast():
            on_device = send(ids, self.device), send(mask, self.device)
            return self.network.encode_answers(*on_device, mask.sum(1).tolist())

    def encode_questions(self, texts: Sequence[str]) -> Questions:
        """Encodes questions about a single video, cut as in training, on the device."""
        longest = min(self.video_settings.max_text_len or self.positions, self.positions)
        questions = Questions.encode(self.tokenizer, texts, [len(texts)], longest)
        return replace(questions, ids=send(questions.ids, self.device), mask=send(questions.mask, self.device))

    @torch.no_grad()
    def answer(
        self, video: EncodedVideo, questions: Sequence[str], num_best: int = 10, with_maps: bool = False
    ) -> list[Answer]:
        """Answers questions about one video.

        Args:
            with_maps: say where and when the best one was found.

        Raises:
            InputError: memory is full.
        """
        with self._computing:
            return self._answer(video, questions, num_best, with_maps)

    def _answer(self, video: EncodedVideo, questions: Sequence[str], num_best: int, with_maps: bool) -> list[Answer]:
        with self._stage("answers"):
            known = self.answer_features
        with self._stage("questions"), self._autocast():
            batch = {"memory": video.memory, "questions": self.encode_questions(questions)}
            logits = self.network(batch, known, self.questions_at_once)
            probabilities, best = logits.softmax(1).topk(min(num_best, len(self.vocabulary)))  # [Q, num_best]
            probabilities, best, logits = probabilities.tolist(), best.tolist(), logits.cpu()
        maps: list[AttentionMaps | None] = [None] * len(questions)
        if with_maps:
            with self._stage("attention maps"):
                maps = [
                    attention_maps(self.network, self.encode_questions([question]), video.memory, known, first)
                    for question, (first, *_) in zip(questions, best, strict=True)
                ]
        return [
            Answer(question, [self.vocabulary[index] for index in indices], shares, own, own_maps)
            for question, indices, shares, own, own_maps in zip(
                questions, best, probabilities, logits, maps, strict=True
            )
        ]


def _check_answers(checkpoint: CheckpointFile, made_with: Mapping[str, Any]) -> str:
    """The kind of a checkpoint, see `KINDS`. Raises InputError when its network knows no answers."""
    kind = kind_of(map(published_name, checkpoint.tensors))
    if kind not in ("qa", "mean") or made_with.get("config", {}).get("objective") == "trm":
        raise InputError(f"{checkpoint.path} is {KINDS[kind]} and knows no answers: {WAYS_OUT[kind]}")
    return kind


def _check_positions(video: VideoSettings, network: DeST) -> None:
    most = network.sizes.max_clips
    if video.max_video_len > most:
        raise InputError(
            f"max_video_len={video.max_video_len} clips are more than the network's {most} positions; "
            f"lower it to max_video_len={most}"
        )


def _note_of_settings(load_path: str | Path | None, video: VideoSettings, network: DeST) -> str:
    quirks = "with" if network.published_quirks else "without"
    return (
        f"nothing in {load_path} says what it was trained with; taken are nframe={video.nframe}, trim={video.trim:g}, "
        f"max_video_len={video.max_video_len}, {quirks} published_quirks. A published checkpoint needs its recipe: "
        "add task_finetune_anetqa published_quirks=True"
    )


def _find_answers(
    load_path: str | Path | None, made_with: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """The answers to choose from: the user's own, the checkpoint's, or the data's; with notes about them."""
    trained_on = made_with.get("vocabulary")
    if own := construct(read_answers, settings):
        return own, [note_of_answers(own, trained_on)] if load_path is not None else []
    if trained_on:
        return trained_on, []
    if (data_root := settings.get("data_root")) is None:
        whose = f"{load_path} brings" if load_path is not None else "random weights know"
        raise InputError(
            f"{whose} no answers: add data_root=FOLDER, as data_root=data/anetqa, for its vocab.json, or those to "
            "choose from, answers=\"['yes', 'no']\" or answer_file=FILE"
        )
    return read_vocabulary(Path(data_root) / "vocab.json"), []
