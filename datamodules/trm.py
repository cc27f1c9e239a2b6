"""Batches for Temporal Referring Modeling.

    Q questions, each about a joined video of its own · S clip features (padded) · C choices · N clips, of all videos ·
    L tokens (padded; another number for each kind of text)

    clips          float32 [Q, S, features]   zeros after a video's last clip
    clip_mask      bool [Q, S]   True = a clip feature, False = padding
    clip_index     int64 [Q, S]   which of the N clips a feature belongs to; N for padding
    clip_lengths   int64 [N]   how many features each clip has; at least 1
    questions      `Questions`, one about each joined video
    choice_ids, choice_mask       int64 [Q · C, L]   those of the first question, of the second, …; mask: 1 = a token
    caption_ids, caption_mask     int64 [N, L]   what happens in each clip
    labels         int64 [Q]   index of the right choice
    types          int64 [Q]   index into QUESTION_TYPES
    qids, question_texts   lists of Q texts
    choice_texts   list of Q tuples of C texts

A question of type 0 shows one clip, the others show `num_clips`: N differs from batch to batch.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from datasets.captions import CaptionSource
from datasets.clips import ClipFeatures
from datasets.errors import InputError, first_few
from datasets.qa import check_usable
from datasets.sources import get_caption_source
from datasets.trm.questions import QuestionMaker
from datasets.trm.samples import Collection, ReferringDataset, ReferringSample

from .base import EpochDataModule
from .batch import Batch, Questions, pad_clips
from .loaders import ResumableLoader
from .samplers import EvalBatchSampler, TrainBatchSampler
from .settings import DataSettings
from .tokenization import TextTokenizer

# Questions and captions may be this much longer than choices: a question has words around the caption that it names.
EXTRA_TOKENS = 5


class ReferringCollate:
    """Joins samples to a batch, as described above. Can be sent to worker processes."""

    def __init__(self, tokenizer: TextTokenizer, max_text_len: int):
        """
        Args:
            max_text_len: tokens per choice at most; EXTRA_TOKENS more for questions and captions.
        """
        self.tokenizer = tokenizer
        self.max_text_len = max_text_len

    def __call__(self, samples: Sequence[ReferringSample]) -> Batch:
        questions = [sample.question for sample in samples]
        clips, clip_mask = pad_clips([sample.clips for sample in samples])
        lengths = torch.from_numpy(np.concatenate([sample.clip_lengths for sample in samples]))
        clip_index = torch.full(clip_mask.shape, len(lengths))
        clip_index[clip_mask] = torch.repeat_interleave(lengths)  # features in order of videos, as the mask has them
        texts = [question.text for question in questions]
        longest = self.max_text_len + EXTRA_TOKENS
        batch: Batch = {
            "questions": Questions.encode(self.tokenizer, texts, [1] * len(texts), longest),
            "clips": clips,
            "clip_mask": clip_mask,
            "clip_index": clip_index,
            "clip_lengths": lengths,
            "labels": torch.tensor([question.label for question in questions]),
            "types": torch.tensor([question.type for question in questions]),
            "qids": [sample.qid for sample in samples],
            "question_texts": texts,
            "choice_texts": [question.choices for question in questions],
        }
        choices = [choice for question in questions for choice in question.choices]
        captions = [caption for question in questions for caption in question.captions]
        batch["choice_ids"], batch["choice_mask"] = self.tokenizer.encode(choices, self.max_text_len)
        batch["caption_ids"], batch["caption_mask"] = self.tokenizer.encode(captions, longest)
        return batch


class TRMDataModule(EpochDataModule):
    """Captioned collections as training and validation questions. Its arguments are the settings of these names.

    Validation and test ask the same questions, a pure function of the annotations, `num_clips` and `seed`.
    """

    def __init__(
        self,
        datasets: Sequence[str],
        data_root: str | Path,
        tokenizer: str | Path | Sequence[str],
        per_gpu_batchsize: int = 16,
        num_workers: int = 0,
        seed: int = 0,
        num_clips: int = DataSettings.num_clips,
        max_video_len: int = DataSettings.max_video_len,
        max_text_len: int = 40,
        input_video_embed_size: int = 1024,
        dataset_weights: Sequence[float] | None = None,
        val_questions: int = DataSettings.val_questions,
    ):
        """Raises InputError: an unknown or repeated name, weights that are none, or no folder for a collection."""
        super().__init__(num_workers, tokenizer)
        names = [datasets] if isinstance(datasets, str) else datasets
        self.sources = [get_caption_source(name) for name in names]
        self.weights = _check_weights([source.name for source in self.sources], dataset_weights)
        self.folders = [_folder(Path(data_root), source, alone=len(self.sources) == 1) for source in self.sources]
        self.batch_size = per_gpu_batchsize
        self.seed = seed
        self.num_clips = num_clips
        self.max_video_len = max_video_len
        self.input_video_embed_size = input_video_embed_size
        self.val_questions = val_questions
        self.max_text_len = max_text_len
        self.train_dataset: ReferringDataset | None = None
        self.val_dataset: ReferringDataset | None = None

    def setup(self, stage: str) -> None:
        """Reads the captions that the stage needs.

        Raises:
            InputError: a file is missing or broken, a video has no features, or captions are too few for `num_clips`.
        """
        if stage == "fit" and self.train_dataset is None:
            self.train_dataset = self._read_split("train")
        if self.val_dataset is None:
            self.val_dataset = self._read_split("val")

    def train_dataloader(self) -> ResumableLoader:
        # Each question is about a video of its own, so that the sampler has none to bring together.
        videos = np.arange(len(self.train_dataset))
        rank, num_ranks = self.rank_and_number()
        batches = TrainBatchSampler(videos, self.batch_size, seed=self.seed, rank=rank, num_ranks=num_ranks)
        return self.training_loader(self.train_dataset, self._collate(), batches)

    def val_dataloader(self) -> ResumableLoader:
        batches = EvalBatchSampler(np.arange(len(self.val_dataset)), self.batch_size, *self.rank_and_number())
        return self.inference_loader(self.val_dataset, self._collate(), batches)

    def test_dataloader(self) -> ResumableLoader:
        return self.val_dataloader()

    def predict_dataloader(self) -> ResumableLoader:
        return self.val_dataloader()

    def _collate(self) -> ReferringCollate:
        return ReferringCollate(self.tokenizer, self.max_text_len)

    def _read_split(self, split: str) -> ReferringDataset:
        makers, clips = [], []
        for source, folder in zip(self.sources, self.folders, strict=True):
            path = folder / source.split_files[split]
            captions = source.read_captions(path)
            makers.append(QuestionMaker(captions, self.num_clips, source.name))
            clips.append(
                ClipFeatures(folder / f"{source.name}.h5", self.input_video_embed_size, key=source.feature_key)
            )
            missing = clips[-1].missing(captions.video_ids)
            if missing:
                raise InputError(
                    f"{len(missing)} of the {len(captions)} videos of {path} have no features in {clips[-1].path} "
                    f"({first_few(missing)}); extract them, or leave these videos out "
                    f"of {path} (preproc_vatex.py and preproc_tgif.py do with --features {clips[-1].path})"
                )
            check_usable(clips[-1].problems(captions.video_ids), len(captions), str(path), "clip features")
        if split == "val":
            numbers = [self.val_questions] * len(makers)
        else:
            sizes = [len(maker.captions) for maker in makers]
            numbers = sizes if self.weights is None else share_out(sum(sizes), self.weights)
        collections = [Collection(*parts) for parts in zip(makers, clips, numbers, strict=True)]
        return ReferringDataset(collections, self.max_video_len, self.seed, training=split == "train")


def share_out(total: int, weights: Sequence[float]) -> list[int]:
    """`total` in these proportions, in whole numbers; at least 1 each, even if that is more than its share."""
    bounds = np.rint(np.cumsum([0, *weights]) / sum(weights) * total).astype(int)
    return np.maximum(np.diff(bounds), 1).tolist()


def _check_weights(names: Sequence[str], weights: Sequence[float] | None) -> Sequence[float] | None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"datasets names {repeated[0]!r} twice; name it once, with dataset_weights for its share")
    if weights is not None and (len(weights) != len(names) or not all(0 < weight < float("inf") for weight in weights)):
        raise InputError(
            f"dataset_weights={list(weights)} must be {len(names)} numbers above 0, one for each of {', '.join(names)}"
        )
    return weights


def _folder(data_root: Path, source: CaptionSource, alone: bool) -> Path:
    folder = data_root / source.name
    if folder.is_dir():
        return folder
    if alone and any((data_root / name).is_file() for name in source.split_files.values()):
        return data_root
    raise InputError(
        f"no folder {folder} with {', '.join(source.split_files.values())} and {source.name}.h5; data_root is the "
        "folder that holds one folder for each dataset"
    )
