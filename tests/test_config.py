"""Every setting is read by something, every recipe is what the paper's table says, every message says the way out."""

import inspect
import re
from dataclasses import asdict, fields

import pytest
import torch

import run
from config import GROUPS, Config, ex, run_command_line
from datasets.annotations import read_answers
from datasets.settings import Tie, tied
from modules.checkpoints.metadata import make_metadata
from modules.checkpoints.network import build_network
from modules.config.assembly import construct, locate, settings_of_checkpoint
from modules.config.checks import check_combinations, check_values, check_words
from modules.config.machine_checks import check_machine
from modules.inference.web_demo import serve
from modules.models.dest import DeST
from modules.models.settings import ModelSizes
from modules.objectives.settings import OptimizerSettings
from modules.training.checkpointing import Checkpoints
from modules.training.run_folder import find_checkpoint, new_run_folder, predictions_path
from modules.training.validation_schedule import ValidationSchedule
from tests.kit.paths import ROOT

DEFAULTS = asdict(Config())
RECIPES = [name for name in ex.named_configs if name.startswith("task_")]
CONSTRUCTED = [locate(path) for pair in run.OBJECTIVES.values() for path in pair]
CONSTRUCTED += [read_answers, DeST, ModelSizes, OptimizerSettings, Checkpoints, ValidationSchedule]
CONSTRUCTED += [find_checkpoint, new_run_folder, predictions_path]


def recipe(*names: str, **changes) -> dict:
    settings = dict(DEFAULTS)
    for name in names:
        settings |= ex.named_configs[name]()
    return check_values(settings | changes, Config)


def test_each_key_is_read():
    read = {name for function in [*CONSTRUCTED, serve] for name in inspect.signature(function).parameters}
    read |= {"max_pos_len", "vit_config", "bert_config", "answer_config"}  # by find_sizes
    for path in ("run.py", "modules/training/failures.py", "modules/training/trainer.py"):
        read |= set(re.findall(r'config\["(\w+)"\]', (ROOT / path).read_text()))
    assert set(DEFAULTS) - read == set()


def test_keys_are_valid_and_documented(capsys):
    """Each has one owner and a meaning; the page of settings is of this version."""
    assert check_values(DEFAULTS, Config) == DEFAULTS
    owned = [field for group in GROUPS.values() for field in fields(group)]
    assert [field.name for field in owned] == list(DEFAULTS)
    assert all(field.metadata["meaning"] for field in owned)
    assert run_command_line(["print_keys"]) == 0
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out.strip() in page, "put in what `python run.py print_keys` prints"


KEYS = "batch_size max_epoch max_steps warmup_steps learning_rate lr_mult_head lr_mult_ans lr_time".split()
KEYS += "nframe trim max_video_len val_check_interval".split()
FIGURES = {  # of the published recipes
    "task_pretrain_trm": (128, None, 60_000, 1000, 1e-5, 25, 2, 5, None, None, 100, 400),
    "task_finetune_anetqa": (64, 5, None, 0.1, 2e-5, 50, 1, 10, 16, 0.8, 100, 1.0),
    "task_finetune_anetqa_mean": (64, 5, None, 0.1, 1e-5, 50, 1, None, 16, 0.8, None, 1.0),
    "task_finetune_agqa": (64, 4, None, 0.1, 2e-5, 10, 1, 2.5, 8, 1.0, 40, 1.0),
    "task_finetune_agqa_mean": (64, 6, None, 0.1, 1e-5, 50, 2, None, 8, 1.0, None, 1.0),
}
ALIKE = {"drop_rate": 0.1, "weight_decay": 0.01, "end_lr": 0, "decay_power": 1}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_a_recipe(name):
    settings, (objective, head) = recipe(name), ("trm", 384) if "trm" in name else ("qa", 768)
    of_both = ALIKE | {"temporal": not name.endswith("_mean"), "objective": objective, "head_width": head}
    for key, figure in {**dict(zip(KEYS, FIGURES[name], strict=True)), **of_both}.items():
        if figure is not None or key in ("max_epoch", "max_steps"):
            assert settings[key] == figure, key


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_states_what_differs_and_opens_with_its_launch_command(name):
    same = {key for key, value in ex.named_configs[name]().items() if DEFAULTS[key] == value}
    assert same <= {"datasets"}  # said for the reader
    source = (ROOT / "config.py").read_text().split(f"def {name}():\n")[1].lstrip()
    words = source.splitlines()[0].removeprefix("# python run.py ").split()
    assert words[:2] == ["with", name]
    check_words(words, DEFAULTS, ex.named_configs, ex.commands)
    changes = dict(word.split("=") for word in words[2:] if not word.startswith("load_path"))
    settings = recipe(name, **{key: int(value) for key, value in changes.items()})
    check_combinations(settings)
    check_machine(settings, num_gpus_here=8, environment={})


@pytest.mark.parametrize("name", [*RECIPES, "toy"])
def test_a_recipe_constructs(name, tmp_path):
    settings = recipe(name, data_root=str(tmp_path)) if name != "toy" else recipe("task_finetune_anetqa", "toy")
    data_class, model_class = map(locate, run.OBJECTIVES[settings["objective"]])
    answers = torch.ones(3, 4, dtype=torch.long)
    of_data = {"vocabulary": ["yes", "no", "red"], "answer_ids": answers, "answer_mask": answers}
    with torch.device("meta"):
        network = build_network(None, settings, model_class.network_class, verbose=False)
        given = {"network": network, "optimizer": construct(OptimizerSettings, settings)}
        model = construct(model_class, given, settings, of_data)
    assert model.optimizer_settings.lr_mult_head == settings["lr_mult_head"]
    assert settings["objective"] != "qa" or construct(data_class, settings).source.name == settings["datasets"][0]
    assert make_metadata(network.sizes, settings)["config"] == settings


def test_settings_that_a_checkpoint_brings():
    made_with = DEFAULTS | {"hidden_size": 64, "nframe": 4, "objective": "trm", "learning_rate": 1.0}
    start = settings_of_checkpoint(Config, made_with, continues=False, given=[], recipes=[])
    assert start["hidden_size"] == 64 and set(start) == set(tied(Config, Tie.WEIGHTS))
    test = settings_of_checkpoint(Config, made_with, True, {"hidden_size": 128}, ["task_finetune_anetqa"])
    assert test["nframe"] == 4 and not test.keys() & {"objective", "learning_rate", "hidden_size"}
    assert settings_of_checkpoint(Config, made_with, True, [], [])["objective"] == "trm"
