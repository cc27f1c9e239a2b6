"""Every setting is read by something, every recipe is what the paper's table says, every message says the way out."""

import ast
import inspect
import os
import subprocess
import typing
from dataclasses import asdict, fields

import pytest
import torch

import run
from config import GROUPS, Config, ex, markdown_table
from datasets.annotations import read_answers
from datasets.settings import Tie, tied
from modules.checkpoints.metadata import make_metadata
from modules.checkpoints.network import build_network
from modules.config.assembly import construct, locate, settings_of_checkpoint
from modules.config.checks import (
    check_combinations,
    check_values,
    check_words,
)
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
CONSTRUCTED = [
    *(locate(path) for pair in run.OBJECTIVES.values() for path in pair),
    read_answers,
    DeST,
    ModelSizes,
    OptimizerSettings,
    Checkpoints,
    ValidationSchedule,
    find_checkpoint,
    new_run_folder,
    predictions_path,
]
MACHINE = {"accelerator": "cpu", "precision": 32}


def recipe(*names: str, **changes) -> dict:
    settings = dict(DEFAULTS)
    for name in names:
        settings |= ex.named_configs[name]()
    return check_values(settings | changes, Config)


class TestKeys:
    def test_each_is_read(self):
        read = {name for function in [*CONSTRUCTED, serve] for name in inspect.signature(function).parameters}
        read |= {"max_pos_len", "vit_config", "bert_config", "answer_config"}  # by find_sizes
        for path in ("run.py", "modules/training/failures.py", "modules/training/trainer.py"):
            for node in ast.walk(ast.parse((ROOT / path).read_text())):
                if isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == "config":
                    read.add(getattr(node.slice, "value", None))
        assert set(DEFAULTS) - read == set()

    def test_each_argument_of_what_is_constructed_has_a_source(self):
        brought = {"network", "optimizer", "vocabulary", "answer_ids", "answer_mask", "num_answers_in_predictions"}
        brought |= {"sizes", "spatial", "max_clips", "folder", "signals", "monitor"}
        sizes = DEFAULTS["vit_config"] | DEFAULTS["bert_config"] | DEFAULTS["answer_config"]
        for function in CONSTRUCTED:
            assert set(inspect.signature(function).parameters) - set(DEFAULTS) - set(sizes) - brought == set(), function

    def test_defaults_are_valid(self):
        assert check_values(DEFAULTS, Config) == DEFAULTS

    def test_each_has_one_owner_and_a_meaning(self):
        owned = [field for group in GROUPS.values() for field in fields(group)]
        assert [field.name for field in owned] == list(DEFAULTS)
        assert all(field.metadata["meaning"] for field in owned)

    def test_the_page_of_settings_is_of_this_version(self):
        page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
        assert markdown_table() in page, "put in what `python run.py print_keys` prints"


class TestRecipes:
    """Figures of the published recipes."""

    FIGURES: typing.ClassVar = {
        "task_pretrain_trm": (128, None, 60_000, 1000, 1e-5, 25, 2, 5, None, None, 100, 400),
        "task_finetune_anetqa": (64, 5, None, 0.1, 2e-5, 50, 1, 10, 16, 0.8, 100, 1.0),
        "task_finetune_anetqa_mean": (64, 5, None, 0.1, 1e-5, 50, 1, None, 16, 0.8, None, 1.0),
        "task_finetune_agqa": (64, 4, None, 0.1, 2e-5, 10, 1, 2.5, 8, 1.0, 40, 1.0),
        "task_finetune_agqa_mean": (64, 6, None, 0.1, 1e-5, 50, 2, None, 8, 1.0, None, 1.0),
    }
    KEYS: typing.ClassVar = [
        "batch_size",
        "max_epoch",
        "max_steps",
        "warmup_steps",
        "learning_rate",
        "lr_mult_head",
        "lr_mult_ans",
        "lr_time",
        "nframe",
        "trim",
        "max_video_len",
        "val_check_interval",
    ]

    @pytest.mark.parametrize("name", FIGURES)
    def test_figures(self, name):
        settings = recipe(name)
        for key, figure in zip(self.KEYS, self.FIGURES[name], strict=True):
            if figure is not None or key in ("max_epoch", "max_steps"):
                assert settings[key] == figure, key
                assert type(settings[key]) is type(figure) or not isinstance(figure, float), key
        assert settings["temporal"] is not name.endswith("_mean")
        assert settings["drop_rate"] == 0.1
        assert settings["weight_decay"] == 0.01
        assert settings["end_lr"] == 0
        assert settings["decay_power"] == 1
        assert (settings["objective"], settings["head_width"]) == (("trm", 384) if "trm" in name else ("qa", 768))

    @pytest.mark.parametrize("name", RECIPES)
    def test_states_only_what_differs(self, name):
        same = {key for key, value in ex.named_configs[name]().items() if DEFAULTS[key] == value}
        assert same <= {"datasets"}  # said for the reader

    @pytest.mark.parametrize("name", RECIPES)
    def test_opens_with_its_launch_command(self, name):
        source = (ROOT / "config.py").read_text().split(f"def {name}():\n")[1].lstrip()
        command = source.splitlines()[0].removeprefix("# python run.py ")
        words = command.split()
        assert words[:2] == ["with", name]
        check_words(words, DEFAULTS, ex.named_configs, ex.commands)
        changes = dict(word.split("=") for word in words[2:] if not word.startswith("load_path"))
        settings = recipe(name, **{key: int(value) for key, value in changes.items()})
        check_combinations(settings)
        check_machine(settings, num_gpus_here=8, environment={})

    @pytest.mark.parametrize("name", [*RECIPES, "toy"])
    def test_constructs(self, name, tmp_path):
        settings = recipe(name, data_root=str(tmp_path)) if name != "toy" else recipe("task_finetune_anetqa", "toy")
        data_class, model_class = map(locate, run.OBJECTIVES[settings["objective"]])
        answers = torch.ones(3, 4, dtype=torch.long)
        of_data = {"vocabulary": ["yes", "no", "red"], "answer_ids": answers, "answer_mask": answers}
        with torch.device("meta"):
            network = build_network(None, settings, model_class.network_class, verbose=False)
            given = {"network": network, "optimizer": construct(OptimizerSettings, settings)}
            model = construct(model_class, given, settings, of_data)
        sizes = network.sizes
        assert model.optimizer_settings.lr_mult_head == settings["lr_mult_head"]
        assert sizes.as_dict()["hidden_size"] == settings["hidden_size"]
        assert ModelSizes(**sizes.as_dict()) == sizes
        if settings["objective"] == "qa":
            assert construct(data_class, settings).source.name == settings["datasets"][0]
        assert make_metadata(sizes, settings)["config"] == settings

    @pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "scripts").glob("*_*.sh")))
    def test_scripts_are_one_valid_command_line(self, script, tmp_path):
        if not script.startswith(("train_", "infer_")):
            pytest.skip("no training or inference")
        shown = tmp_path / "python"
        shown.write_text('#!/bin/sh\nshift; printf "%s\\n" "$@"\n')
        shown.chmod(0o755)
        environment = os.environ | {"PYTHON": str(shown), "CKPT": "a b.ckpt", "QUIRKS": "1", "NUM_GPUS": "2"}
        command = ["bash", str(ROOT / "scripts" / script), "seed=3"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path, check=True)
        words = done.stdout.splitlines()
        check_words(words, DEFAULTS, ex.named_configs, ex.commands)
        task = script.removesuffix(".sh").split("_", 1)[1]
        assert f"task_{'pretrain' if task == 'trm' else 'finetune'}_{task}" in words
        assert {"load_path=a b.ckpt", "num_gpus=2", "num_nodes=1"} <= set(words)
        assert words[-1] == "seed=3"
        assert ("test_only=True" in words) == script.startswith("infer")
        assert ("published_quirks=True" in words) == (script in ("infer_anetqa.sh", "infer_agqa.sh"))
        del environment["CKPT"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "CKPT=" in done.stderr


class TestSettingsOfCheckpoint:
    MADE_WITH: typing.ClassVar = DEFAULTS | {"hidden_size": 64, "nframe": 4, "objective": "trm", "learning_rate": 1.0}

    def test_start_of_training_takes_sizes_alone(self):
        taken = settings_of_checkpoint(Config, self.MADE_WITH, continues=False, given=[], recipes=[])
        assert taken["hidden_size"] == 64
        assert set(taken) == set(tied(Config, Tie.WEIGHTS))

    def test_test_takes_what_inference_needs_and_without_a_recipe_the_task(self):
        with_recipe = settings_of_checkpoint(
            Config, self.MADE_WITH, continues=True, given=[], recipes=["task_finetune_anetqa"]
        )
        assert (with_recipe["nframe"], "objective" in with_recipe, "learning_rate" in with_recipe) == (4, False, False)
        assert settings_of_checkpoint(Config, self.MADE_WITH, True, [], [])["objective"] == "trm"

    def test_the_command_line_decides(self):
        assert "hidden_size" not in settings_of_checkpoint(Config, self.MADE_WITH, True, {"hidden_size": 128}, [])

    def test_files_from_elsewhere_say_nothing(self):
        assert settings_of_checkpoint(Config, {}, True, [], []) == {}
