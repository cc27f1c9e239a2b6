"""Settings of asking about a video, on the command line and in the web demo."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval

from datasets.settings import Count, setting


@dataclass(frozen=True)
class AskSettings:
    video: str | None = setting(None, "video file")
    question: list[str] = setting([], "one, or a list of them")
    question_file: str | None = setting(None, "text file of more questions, one per line")
    swin_path: str | None = setting(None, "Video Swin checkpoint that the training's clip features were made with")
    not_sure_below: Annotated[float, Interval(ge=0, le=1)] = setting(
        0.0,
        'ask, web: probability of the best answer under which it is "not sure" (`eval.py --val` lists them); 0: off',
    )
    save: str | None = setting(None, "figure of where and when the answer was found: .png, .pdf or .svg")


@dataclass(frozen=True)
class WebSettings:
    host: str = setting("127.0.0.1", "address to serve on; 0.0.0.0: all of this machine, for everyone who reaches it")
    port: Annotated[int, Interval(ge=1, le=65535)] = setting(7860, "of that address")
    examples: list[str] = setting([], "videos to offer: files, or folders; questions: `question`")
    upload_seconds: Count = setting(180, "longest video to take")
    upload_megabytes: Count = setting(100, "largest video to take")
