"""Every setting of a run, and the recipes.

`Config` lists the keys: type, default, and what the value means. A recipe (a named config) states only what differs.
On the command line: ``python run.py with RECIPE key=value …``; ``python run.py print_config with …`` shows the outcome.
"""

import ast
import inspect
import logging
import re
import typing
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from datasets.errors import run_cli
from modules.config.checks import Range, check_updates, check_words, describe_type

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # sacred imports pkg_resources, which announces its own end
    from sacred import SETTINGS, Experiment, arg_parser

SETTINGS.CAPTURE_MODE = "no"  # Sacred's capture of the output breaks progress bars and the ranks of a distributed run
SETTINGS.CONFIG.READ_ONLY_CONFIG = False

ex = Experiment("DeST", save_git_info=False)
ex.logger = logging.getLogger("sacred")
ex.logger.setLevel(logging.ERROR)  # what it would say of its own doings is of no use

Count = Annotated[int, Range(1)]
Whole = Annotated[int, Range(0)]
Share = Annotated[float, Range(0, 1)]
Amount = Annotated[float, Range(0)]
Tokens = Annotated[int, Range(3)]  # [CLS], a word, [SEP]


@dataclass(frozen=True)
class Config:
    # --- Run
    objective: Literal["qa", "trm"] = "qa"  # open-ended QA, or Temporal Referring Modeling (pre-training)
    exp_name: str = "dest"  # names the run's folder, LOG_DIR/EXP_NAME_seedSEED/version_K
    seed: Whole = 0  # of every random draw: weights, order of the data, sampling, dropout
    load_path: str | None = None  # checkpoint to take weights from; None: random start
    resume_from: str | None = None  # checkpoint of a run to continue, or "last": the newest of this experiment
    test_only: bool = False  # no training: predict the test split with load_path
    fast_dev_run: bool | Whole = False  # N (True: 1) batches of training and of validation, nothing written
    log_dir: str = "result"  # folder of runs and predictions
    overwrite: bool = False  # whether a predictions file that exists may be replaced
    published_quirks: bool = False  # compute as the published code did at test time, two faults included

    # --- Data
    datasets: list[str] = field(default_factory=lambda: ["anetqa"])  # qa: one name; trm: any number, trained jointly
    dataset_weights: list[Amount] | None = None  # trm: shares of the questions in training; None: by number of videos
    data_root: str | None = None  # qa: folder of the data set; trm: folder that holds one folder a data set
    num_workers: Annotated[int, Range(0, 256)] = 8  # loader processes a GPU; 0: load in the main process
    nframe: Annotated[int, Range(1, 4096)] = 16  # frames a video, spatial stream
    trim: Annotated[float, Range(0, 1, low_is_allowed=False)] = 1.0  # share of the video's frames kept, at its centre
    image_size: Annotated[int, Range(1, 4096)] = 384  # pixels, side of the square frame
    max_video_len: Count = 100  # clip features a video at most; more are sampled down
    max_text_len: Tokens | None = None  # tokens a text at most (trm: +5 for questions and captions); None: not cut
    num_clips: Annotated[int, Range(2)] = 8  # trm: captioned clips joined to one video, and choices a question
    val_questions: Count = 5000  # trm: questions about each data set in validation and test
    questions_per_video: Count = 1  # questions of one video that meet in a training batch; 1: as published
    tokenizer: str = "bert-base-uncased"  # name, or folder, of a BERT tokenizer

    # --- Model
    temporal: bool = True  # the temporal stream; False: the mean-pooling baseline
    patch_size: Count = 16  # pixels, side of an image patch
    hidden_size: Count = 768  # width of every stream
    head_width: Count = 768  # of the space in which videos meet answers; trm: 384
    input_video_embed_size: Count = 1024  # width of a clip feature
    max_pos_len: Count = 100  # clip positions of the temporal stream
    vit_config: dict[str, Count] = field(default_factory=lambda: {"vit_depth": 12, "vit_heads": 12})  # image encoder
    bert_config: dict[str, Count] = field(  # text/fusion stack and, the same again, temporal stack
        default_factory=lambda: {
            "num_layers": 12,
            "num_text_layers": 6,
            "num_heads": 12,
            "intermediate_size": 3072,
            "vocab_size": 30522,
            "max_text_positions": 512,
            "num_token_types": 2,
        }
    )
    answer_config: dict[str, Count] = field(  # DistilBERT
        default_factory=lambda: {"answer_layers": 6, "answer_heads": 12, "answer_intermediate_size": 3072}
    )
    answer_encoder: str = "distilbert-base-uncased"  # name, or folder, its weights start from; empty: random
    drop_rate: Annotated[float, Range(0, 1, high_is_allowed=False)] = 0.1  # dropout
    freeze: list[str] = field(  # name prefixes of the parameters that are not trained
        default_factory=lambda: ["visual_encoder", "text_encoder.embeddings", "ans_encoder.lm.embeddings"]
    )
    frozen_precision: Literal["same", "bf16"] = "same"  # of a frozen image encoder: as `precision`, or bfloat16

    # --- Training
    batch_size: Count = 64  # questions an optimizer step, over all GPUs and accumulated batches
    per_gpu_batchsize: Count = 8  # questions a GPU at once; batch_size is reached by accumulating gradients
    max_epoch: Count | None = None  # passes over the training split; None: max_steps decides
    max_steps: Count | None = None  # optimizer steps; None: max_epoch decides
    val_check_interval: int | float = 1.0  # between validations: optimizer steps (int) or share of an epoch (float)
    optim_type: Literal["adamw", "adam", "sgd"] = "adamw"  # optimizer; betas 0.9, 0.98 (sgd: momentum 0.9)
    learning_rate: Annotated[float, Range(0, low_is_allowed=False)] = 2e-5  # peak, of parameters without a multiplier
    lr_mult_head: Amount = 50.0  # learning rate of the heads: learning_rate × this
    lr_mult_ans: Amount = 1.0  # of the answer encoder: × this
    lr_time: Amount = 10.0  # of the temporal stream: × this
    weight_decay: Amount = 0.01  # none on biases and norms
    warmup_steps: Annotated[int | float, Range(0)] = 0.1  # optimizer steps (int) or share of the run (float)
    decay_power: Annotated[float, Range(0, low_is_allowed=False)] = 1.0  # of the decay after warm-up; 1: linear
    end_lr: Amount = 0.0  # learning rate at the end of the decay
    skip_bad_steps: Whole = 0  # steps without a finite loss to leave out before one ends the run

    # --- Machine
    accelerator: Literal["auto", "gpu", "cpu"] = "auto"  # auto: the GPU if there is one
    num_gpus: Count = 1  # GPUs a node; with accelerator=cpu, processes
    num_nodes: Count = 1  # machines
    precision: Literal[32, 16, "bf16"] = 16  # 32: float32; 16, bf16: mixed with float16 or bfloat16
    compile: bool = False  # torch.compile the network
    grad_checkpointing: bool = False  # compute activations again in the backward pass: less memory, more time

    # --- Checkpoints
    checkpoint_steps: Count = 1000  # optimizer steps between two checkpoints, beside those at each validation
    checkpoint_minutes: Amount | None = None  # and minutes; None: by steps alone

    # --- Asking about a video (`python run.py ask with …`)
    video: str | None = None  # video file
    question: list[str] = field(default_factory=list)  # one, or a list of them
    question_file: str | None = None  # text file of more questions, one a line
    swin_path: str | None = None  # Video Swin checkpoint that the training's clip features were made with
    save: str | None = None  # picture of where and when the answer was found: .png, .pdf or .svg

    # --- Web demo (`python run.py web with …`)
    host: str = "127.0.0.1"  # address to serve on; 0.0.0.0: all of this machine, for everyone who reaches it
    port: Annotated[int, Range(1, 65535)] = 7860  # of that address
    examples: list[str] = field(default_factory=list)  # videos to offer: files, or folders; questions: `question`
    upload_seconds: Count = 180  # longest video to take
    upload_megabytes: Count = 100  # largest video to take


ex.add_config(asdict(Config()))


@ex.named_config
def task_pretrain_trm():
    # python run.py with task_pretrain_trm num_gpus=8 per_gpu_batchsize=16 load_path=vqa.pth
    objective = "trm"
    exp_name = "trm"
    datasets = ["vatex", "tgif"]
    data_root = "data"
    head_width = 384
    batch_size = 128
    max_steps = 60_000
    val_check_interval = 400
    warmup_steps = 1_000
    learning_rate = 1e-5
    lr_mult_head = 25.0
    lr_mult_ans = 2.0
    lr_time = 5.0
    max_text_len = 40


@ex.named_config
def task_finetune_anetqa():
    # python run.py with task_finetune_anetqa num_gpus=8 per_gpu_batchsize=8 load_path=trm.ckpt
    exp_name = "anetqa"
    datasets = ["anetqa"]
    data_root = "data/anetqa"
    trim = 0.8
    max_epoch = 5


@ex.named_config
def task_finetune_anetqa_mean():
    # python run.py with task_finetune_anetqa_mean num_gpus=8 per_gpu_batchsize=8 load_path=vqa.pth
    exp_name = "anetqa_mean"
    datasets = ["anetqa"]
    data_root = "data/anetqa"
    temporal = False
    trim = 0.8
    max_epoch = 5
    learning_rate = 1e-5


@ex.named_config
def task_finetune_agqa():
    # python run.py with task_finetune_agqa num_gpus=4 per_gpu_batchsize=16 load_path=trm.ckpt
    exp_name = "agqa"
    datasets = ["agqa"]
    data_root = "data/agqa"
    nframe = 8
    max_video_len = 40
    max_epoch = 4
    lr_mult_head = 10.0
    lr_time = 2.5


@ex.named_config
def task_finetune_agqa_mean():
    # python run.py with task_finetune_agqa_mean num_gpus=2 per_gpu_batchsize=32 load_path=vqa.pth
    exp_name = "agqa_mean"
    datasets = ["agqa"]
    data_root = "data/agqa"
    temporal = False
    nframe = 8
    max_epoch = 6
    learning_rate = 1e-5
    lr_mult_ans = 2.0


@ex.named_config
def task_finetune_msrvttqa():
    # python run.py with task_finetune_msrvttqa num_gpus=4 per_gpu_batchsize=16 load_path=trm.ckpt
    # No recipe was published for it: that of agqa, whose videos are as short.
    exp_name = "msrvttqa"
    datasets = ["msrvttqa"]
    data_root = "data/msrvttqa"
    nframe = 8
    max_video_len = 40
    max_epoch = 4
    lr_mult_head = 10.0
    lr_time = 2.5


@ex.named_config
def toy():
    # python run.py with task_finetune_anetqa toy data_root=toy/data/anetqa tokenizer=toy/raw/tokenizer
    # Sizes and rates for the toy world on a CPU (scripts/demo.sh); stands after a recipe, of which it keeps the rest.
    accelerator = "cpu"
    precision = 32
    num_workers = 0
    answer_encoder = ""
    nframe = 4
    trim = 1.0
    num_clips = 3
    questions_per_video = 4
    image_size = 64
    patch_size = 16
    hidden_size = 96
    head_width = 96
    input_video_embed_size = 128
    max_pos_len = 32
    max_video_len = 32
    vit_config = {"vit_depth": 4, "vit_heads": 4}
    bert_config = {"num_layers": 4, "num_text_layers": 2, "num_heads": 4, "intermediate_size": 256, "vocab_size": 512}
    answer_config = {"answer_layers": 2, "answer_heads": 4, "answer_intermediate_size": 256}
    drop_rate = 0.0
    batch_size = 64
    per_gpu_batchsize = 64
    learning_rate = 1e-3
    lr_mult_head = 1.0
    lr_mult_ans = 1.0
    lr_time = 1.0
    warmup_steps = 0.1


# --- the command line ------------------------------------------------------------------------------------------------


def parse_value(text: str) -> Any:
    """The value that the command line gives a setting: a Python literal of plain values, or else the text as it stands.

    In Sacred's place, which hands literals to jsonpickle: that reads ``{'py/reduce': …}``, also in the name of a file,
    as a call of any function.
    """
    try:
        return _plain(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return text


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) and not key.startswith("py/") for key in value):
        return {key: _plain(item) for key, item in value.items()}
    raise TypeError(f"{type(value).__name__} is no value of a setting")


arg_parser._convert_value = parse_value


@run_cli
def run_command_line(arguments: Sequence[str]) -> int:
    """Runs ``[COMMAND] [with …]`` after every name in it has been checked; returns the exit code."""
    defaults = asdict(Config())
    check_words(arguments, defaults, ex.named_configs, ex.commands)
    if "with" in arguments:
        given, _ = arg_parser.get_config_updates(arguments[arguments.index("with") + 1 :])
        check_updates(given, defaults, Config)
    run = ex.run_commandline(["run.py", *arguments])
    return (run.result if run is not None else None) or 0


@ex.command(unobserved=True)
def print_keys() -> None:
    """Print the table of all settings, as the README has it."""
    print(markdown_table())


def settings_text(config: Mapping[str, Any]) -> str:
    """Every setting by group, those that differ from the default marked."""
    defaults = asdict(Config())
    lines = []
    for group, keys in key_groups().items():
        lines += ["", group]
        for key in keys:
            changed = config[key] != defaults[key]
            was = f"   (default {defaults[key]!r})" if changed else ""
            lines.append(f"{'*' if changed else ' '} {key} = {config[key]!r}{was}")
    return "\n".join(lines)


def key_groups() -> dict[str, dict[str, str]]:
    """group -> key -> the comment beside it, read from the source of `Config`."""
    groups: dict[str, dict[str, str]] = {}
    group: dict[str, str] = {}
    for line in inspect.getsource(Config).splitlines():
        if title := re.fullmatch(r"    # --- (.+)", line):
            group = groups.setdefault(title[1], {})
        elif key := re.match(r"    (\w+): .*?  # (.+)$", line):
            group[key[1]] = key[2]
    return groups


def markdown_table() -> str:
    """The settings as the README shows them."""
    hints, defaults = typing.get_type_hints(Config, include_extras=True), asdict(Config())
    lines = []
    for group, keys in key_groups().items():
        lines += [f"**{group}**", "", "| key | default | type | meaning |", "|---|---|---|---|"]
        for key, meaning in keys.items():
            cells = (f"`{key}`", f"`{_shown(defaults[key])}`", describe_type(hints[key]), meaning)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines).strip()


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={item}" for name, item in value.items())
    return str(value)
