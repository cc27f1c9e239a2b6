"""Open-ended question answering: the splits of one dataset as loaders of batches."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from torch import Tensor

from datasets.annotations import QuestionTable, read_vocabulary
from datasets.clips import ClipFeatures
from datasets.errors import InputError
from datasets.frames import FrameReader
from datasets.qa import QADataset
from datasets.sources import get_qa_source

from .base import EpochDataModule
from .batch import QACollate
from .loaders import ResumableLoader
from .probes import ProbeCollate, partners
from .samplers import EvalBatchSampler, TrainBatchSampler
from .settings import DataSettings
from .tokenization import MAX_POSITIONS


class QADataModule(EpochDataModule):
    """The questions, frames and features of one dataset, read from its folder.

    `data_root` holds `train`, `val` and `test` annotations (csv or json), `vocab.json`, `frames/` and `<name>.h5`;
    only what a stage needs must be there. Every video of a stage must have frames and features: what is missing is
    told at once, before anything runs. Batches are described in `datamodules.batch`.

    Arguments are the settings of these names, and those explained below.
    """

    def __init__(
        self,
        datasets: Sequence[str],
        data_root: str | Path,
        per_gpu_batchsize: int,
        num_workers: int = 0,
        seed: int = 0,
        nframe: int = DataSettings.nframe,
        trim: float = DataSettings.trim,
        image_size: int = DataSettings.image_size,
        max_video_len: int = DataSettings.max_video_len,
        max_text_len: int | None = DataSettings.max_text_len,
        max_text_positions: int = MAX_POSITIONS,
        input_video_embed_size: int = 1024,
        tokenizer: str | Path | Sequence[str] = DataSettings.tokenizer,
        questions_per_video: int = DataSettings.questions_per_video,
        temporal: bool = True,
        vocabulary: Sequence[str] | None = None,
        agqa_split: str | None = None,
        probe: Sequence[str] = (),
        test_split: str = DataSettings.test_split,
    ):
        """
        Args:
            max_text_positions: of the text and the answer encoder, which know no longer texts.
            vocabulary: answers in order of their index; None: those of `vocab.json`.
            agqa_split: a flag of the questions that training and validation leave out.
            probe: probes under which the test split is predicted, by name; none: as it is.
        """
        super().__init__(num_workers, tokenizer)
        (name,) = [datasets] if isinstance(datasets, str) else datasets
        self.source = get_qa_source(name)
        self.data_root = Path(data_root)
        self.per_gpu_batchsize = per_gpu_batchsize
        self.seed = seed
        self.max_text_len = min(max_text_len or max_text_positions, max_text_positions)
        self.max_text_positions = max_text_positions
        self.questions_per_video = questions_per_video
        self._vocabulary = vocabulary
        self.left_out, self.probes, self.test_split = agqa_split, probe, test_split
        self._frames = FrameReader(self.data_root / "frames", nframe, trim, image_size)
        features = self.data_root / f"{self.source.name}.h5"
        reader = ClipFeatures(features, input_video_embed_size, max_video_len, self.source.feature_key)
        self._clips = reader if temporal else None
        self._split: dict[str, QADataset] = {}

    @cached_property
    def vocabulary(self) -> list[str]:
        """All A answers in order of their index."""
        if self._vocabulary is not None:
            return list(self._vocabulary)
        return read_vocabulary(self.data_root / "vocab.json")

    @cached_property
    def _answers(self) -> tuple[Tensor, Tensor]:
        return self.tokenizer.encode(self.vocabulary, self.max_text_positions)

    @property
    def answer_ids(self) -> Tensor:
        """Tokens of all answers. int64 [A, L]."""
        return self._answers[0]

    @property
    def answer_mask(self) -> Tensor:
        """1 = a token, 0 = padding. int64 [A, L]."""
        return self._answers[1]

    @property
    def num_answers_in_predictions(self) -> int:
        """Number of best answers that a prediction lists."""
        return self.source.num_answers_in_predictions

    @property
    def preprocessing(self) -> dict[str, dict | None]:
        """Settings that the frames and the clip features were extracted with; None where their files do not say."""
        return {"frames": self._frames.settings(), "clips": None if self._clips is None else self._clips.settings()}

    @property
    def predicted_file(self) -> Path:
        """Annotations whose questions are predicted."""
        return self.data_root / self.source.split_files[self.test_split]

    @property
    def features_file(self) -> Path | None:
        """Clip features; None without a temporal stream."""
        return None if self._clips is None else self._clips.path

    def setup(self, stage: str) -> None:
        """Opens the splits of a stage ("fit", "validate", "test" or "predict").

        Says so when not one answer of the test split is in the vocabulary.

        Raises:
            InputError: annotations that are missing or invalid; videos without frames or features; answers of the
                training or validation split that are those of another vocabulary.
        """
        splits = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}.get(stage, (self.test_split,))
        for split in splits:
            if split not in self._split:
                self._split[split] = self._open(split)

    def train_dataloader(self) -> ResumableLoader:
        dataset = self._split["train"]
        batches = TrainBatchSampler(
            dataset.table.video_codes,
            self.per_gpu_batchsize,
            self.questions_per_video,
            self.seed,
            *self.rank_and_number(),
        )
        return self.training_loader(dataset, self._collate(), batches)

    def val_dataloader(self) -> ResumableLoader:
        return self._inference_loader("val")

    def test_dataloader(self) -> ResumableLoader:
        return self._inference_loader("test")

    def predict_dataloader(self) -> ResumableLoader:
        collate = self._collate()
        return self._inference_loader(
            self.test_split, ProbeCollate(collate, self.probes, self.seed) if self.probes else collate
        )

    def _open(self, split: str) -> QADataset:
        path = self.data_root / self.source.split_files[split]
        table = self.source.read_questions(path)
        if self.left_out is not None and split != "test":
            table = without(table, self.left_out, path)
        swapped = split == "test" and "swap_video" in self.probes
        dataset = QADataset(
            table,
            self._frames,
            self._clips,
            self.vocabulary,
            self.source.frame_directory,
            seed=self.seed if split == "train" else None,
            others=partners(table.video_ids, self.seed, path.name) if swapped else None,
        )
        self._check_answers(table, path, split)
        dataset.check_videos(path.name)
        return dataset

    def _check_answers(self, table: QuestionTable, path: Path, split: str) -> None:
        """Checks that answers can be trained on, and that a best checkpoint can be chosen by them."""
        answers = set(table.column("answer").unique().to_pylist())
        outside = sorted(answers.difference(self.vocabulary))
        if split == "train" and outside:
            raise InputError(
                f"{path} has {len(outside)} answers outside the vocabulary of {len(self.vocabulary)}, such as "
                f"{outside[0]!r}: preprocess it again, so that it and vocab.json are of one run"
            )
        if split == "val" and answers == {""}:
            rank_zero_only(print)(
                f"warning: no question in {path} has an answer: val/accuracy is 0 throughout, and best.ckpt simply the "
                "first; use last.ckpt, or give the split its answers",
                flush=True,
            )
        if len(outside) == len(answers) and answers != {""}:
            message = (
                f"not one answer in {path} (such as {next(filter(None, outside))!r}) is in the vocabulary of "
                f"{len(self.vocabulary)}: are file and vocabulary of the same dataset?"
            )
            if split != "test":  # where answers may be anybody's, and are not needed
                raise InputError(message)
            rank_zero_only(print)(f"warning: {message}", flush=True)

    def _inference_loader(self, split: str, collate: QACollate | ProbeCollate | None = None) -> ResumableLoader:
        dataset = self._split[split]
        batches = EvalBatchSampler(dataset.table.video_codes, self.per_gpu_batchsize, *self.rank_and_number())
        return self.inference_loader(dataset, collate or self._collate(), batches)

    def _collate(self) -> QACollate:
        return QACollate(self.tokenizer, self.max_text_len)


def without(table: QuestionTable, flag: str, path: Path) -> QuestionTable:
    """The questions of a split that do not have a flag.

    Raises:
        InputError: the records do not say, or all have it.
    """
    if flag not in table.column_names:
        raise InputError(f"agqa_split={flag}: the records of {path} have no {flag!r}; preprocess AGQA again")
    kept = np.array([not has for has in table.column(flag).to_pylist()])
    if not kept.any():
        raise InputError(f"agqa_split={flag}: every question of {path} is of that split, none is left")
    return table.subset(kept)
