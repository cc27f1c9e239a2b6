"""Settings of the data: folders, the frames and clips of a video, the questions of a batch."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Interval

from datasets.settings import Amount, Count, ProbeName, Tie, Tokens, setting


@dataclass(frozen=True)
class DataSettings:
    datasets: list[str] = setting(["anetqa"], "qa: one name; trm: any number, trained jointly", Tie.TASK)
    dataset_weights: list[Amount] | None = setting(
        None, "trm: shares of the questions in training; None: by number of videos", Tie.COURSE
    )
    data_root: str | None = setting(None, "qa: folder of the dataset; trm: folder that holds one folder per dataset")
    test_split: Literal["test", "val"] = setting(
        "test", "test_only: the split to predict; val: for temperatures and thresholds (`eval.py --val`)"
    )
    answers: list[str] = setting([], "test, ask, web: answers to choose from, in place of the checkpoint's")
    answer_file: str | None = setting(None, "more of them: a text file, one per line, or a vocab.json")
    num_workers: Annotated[int, Interval(ge=0, le=256)] = setting(
        8, "loader processes per GPU; 0: load in the main process"
    )
    nframe: Annotated[int, Interval(ge=1, le=4096)] = setting(16, "frames per video, spatial stream", Tie.INFERENCE)
    trim: Annotated[float, Interval(gt=0, le=1)] = setting(
        1.0, "share of the video's frames kept, at its centre", Tie.INFERENCE
    )
    image_size: Annotated[int, Interval(ge=1, le=4096)] = setting(
        384, "pixels, side of the square frame", Tie.INFERENCE
    )
    max_video_len: Count = setting(100, "clip features per video at most; more are subsampled", Tie.INFERENCE)
    max_text_len: Tokens | None = setting(
        None, "tokens per text at most (trm: +5 for questions and captions); None: not cut", Tie.INFERENCE
    )
    num_clips: Annotated[int, Ge(2)] = setting(
        8, "trm: captioned clips joined to one video, and choices per question", Tie.INFERENCE
    )
    val_questions: Count = setting(5000, "trm: questions per dataset in validation and test", Tie.COURSE)
    questions_per_video: Count = setting(
        1, "questions of one video that meet in a training batch; 1: as published", Tie.COURSE
    )
    tokenizer: str = setting("bert-base-uncased", "name, or folder, of a BERT tokenizer")
    agqa_split: Literal["novel_comp", "more_steps"] | None = setting(
        None, "agqa: train without the questions that this generalisation split tests; None: with all", Tie.INFERENCE
    )
    probe: list[ProbeName] = setting([], "test_only, qa: evidence taken away or rearranged, a file of predictions each")
