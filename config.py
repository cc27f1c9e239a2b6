"""Every setting of a run, and the recipes.

Each part of the code declares its own settings in a `settings.py` beside it: type, range, default, meaning. `Config`
composes them to the flat keys of command lines. A recipe (a named config) states only what differs.
On the command line: ``python run.py with RECIPE key=value …``; ``python run.py print_config with …`` shows the outcome.
"""

import logging
import typing
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from datamodules.settings import DataSettings
from datasets.errors import run_cli
from datasets.settings import ProbeName
from modules.config.checks import check_updates, check_words, describe_type, until_option
from modules.config.rank_environment import is_first_rank
from modules.config.settings_files import is_settings_file, parse_text, parse_value, read_settings
from modules.inference.settings import AskSettings, WebSettings
from modules.models.settings import ModelSettings
from modules.objectives.settings import OptimizerSettings
from modules.training.private import nest, parse_values_with, sacred_alone, settings_of_words
from modules.training.settings import CheckpointSettings, MachineSettings, RunSettings, TrainingSettings

with sacred_alone():
    from sacred import SETTINGS, Experiment

SETTINGS.CAPTURE_MODE = "no"  # Sacred's capture of the output breaks progress bars and the ranks of a distributed run
SETTINGS.CONFIG.READ_ONLY_CONFIG = False

ex = Experiment("DeST", save_git_info=False)
ex.logger = logging.getLogger("sacred")
ex.logger.setLevel(logging.ERROR)  # what it would say of its own doings is of no use

GROUPS = {
    "Run": RunSettings,
    "Data": DataSettings,
    "Model": ModelSettings,
    "Training": TrainingSettings,
    "Optimizer": OptimizerSettings,
    "Machine": MachineSettings,
    "Checkpoints": CheckpointSettings,
    "Asking about a video (`python run.py ask with …`)": AskSettings,
    "Web demo (`python run.py web with …`)": WebSettings,
}


@dataclass(frozen=True)
class Config(*reversed(GROUPS.values())):
    """All settings, under the flat keys of command lines."""


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
def task_finetune_nextqa():
    # python run.py with task_finetune_nextqa num_gpus=8 per_gpu_batchsize=8 load_path=trm.ckpt
    # No recipe was published for it: that of anetqa, with all of the frames.
    objective = "mc"
    exp_name = "nextqa"
    datasets = ["nextqa"]
    data_root = "data/nextqa"
    max_epoch = 5


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
    questions_per_video = 8
    image_size = 64
    patch_size = 16
    hidden_size = 96
    head_width = 96
    input_video_embed_size = 128
    max_pos_len = 32
    max_video_len = 32
    vit_config = {"vit_depth": 2, "vit_heads": 4}
    bert_config = {"num_layers": 3, "num_text_layers": 1, "num_heads": 4, "intermediate_size": 256, "vocab_size": 512}
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


parse_values_with(parse_value)


@run_cli
def run_command_line(arguments: Sequence[str]) -> int:
    """Runs ``[COMMAND] [with …]`` after every name in it has been checked; returns the exit code."""
    defaults = asdict(Config())
    check_words(arguments, defaults, ex.named_configs, ex.commands)
    start = arguments.index("with") + 1 if "with" in arguments else len(arguments)
    files: list[str] = []
    try:
        words = [_as_sacred_reads_it(word, files) for word in until_option(arguments[start:])]
        check_updates(settings_of_words(words), defaults, Config)
        options = arguments[start + len(words) :]
        run = ex.run_commandline(["run.py", *arguments[:start], *words, *options])
    finally:
        for name in files:
            ex.named_configs.pop(name, None)
    return (run.result if run is not None else None) or 0


def _as_sacred_reads_it(word: str, files: list[str]) -> str:
    """A word after ``with``: of a text setting, the text in quotes; a file of settings becomes a recipe in its place.

    Args:
        files: takes the name of a recipe that is made here.
    """
    hints = typing.get_type_hints(Config)
    is_text = {key: hint in (str, str | None, list[str], list[ProbeName]) for key, hint in hints.items()}
    if is_settings_file(word):
        settings = nest(read_settings(word, [key for key in hints if is_text[key]]))
        check_updates(settings, asdict(Config()), Config, found_in=word)
        files.append(f"file_{len(files)}")
        ex.add_named_config(files[-1], settings)
        return files[-1]
    key, is_setting, text = word.partition("=")
    if not is_setting or not is_text.get(key.strip()):
        return word
    return f"{key.strip()}={parse_text(text, typing.get_origin(hints[key.strip()]) is list)!r}"


@ex.option_hook
def one_observer(options: dict[str, Any]) -> None:
    """Lets the first process of a run alone tell Sacred's observers (``-F FOLDER`` and the like)."""
    if not is_first_rank():
        options.update(dict.fromkeys(("--file_storage", "--mongo_db", "--tiny_db", "--sql", "--s3", "--gcs")))


@ex.command(unobserved=True)
def print_keys() -> None:
    """Print the table of all settings, as docs/settings.md has it."""
    print(markdown_table())


def settings_text(config: Mapping[str, Any]) -> str:
    """Every setting by group, those that differ from the default marked."""
    defaults = asdict(Config())
    lines = []
    for title, group in GROUPS.items():
        lines += ["", title]
        for key in (field.name for field in fields(group)):
            changed = config[key] != defaults[key]
            was = f"   (default {defaults[key]!r})" if changed else ""
            lines.append(f"{'*' if changed else ' '} {key} = {config[key]!r}{was}")
    return "\n".join(lines)


def markdown_table() -> str:
    """The settings as docs/settings.md shows them."""
    hints, defaults = typing.get_type_hints(Config, include_extras=True), asdict(Config())
    lines = []
    for title, group in GROUPS.items():
        lines += [f"**{title}**", "", "| key | default | type | meaning |", "|---|---|---|---|"]
        for field in fields(group):
            key, meaning = field.name, field.metadata["meaning"]
            cells = (f"`{key}`", f"`{_shown(defaults[key])}`", describe_type(hints[key]), meaning)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines).strip()


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={item}" for name, item in value.items())
    return str(value)
