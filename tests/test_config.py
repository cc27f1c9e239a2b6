"""Every setting is read by something, every recipe is what the paper's table says, every message says the way out."""

import ast
import inspect
import json
import os
import pickle
import subprocess
import typing
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import torch
import yaml

import run
from config import GROUPS, Config, ex, markdown_table, parse_value, run_command_line
from datasets.errors import InputError
from datasets.settings import Tie, tied
from modules.checkpoints.metadata import make_metadata
from modules.config import path_checks
from modules.config.assembly import construct, locate, settings_of_checkpoint
from modules.config.checks import (
    check_combinations,
    check_tokenizer,
    check_updates,
    check_values,
    check_words,
)
from modules.config.machine_checks import check_machine
from modules.config.path_checks import check_paths
from modules.inference.web_demo import serve
from modules.models.settings import ModelSizes
from modules.objectives.settings import OptimizerSettings
from modules.training.checkpointing import Checkpoints
from modules.training.run_folder import find_checkpoint, new_run_folder, predictions_path
from modules.training.validation_schedule import ValidationSchedule

ROOT = Path(run.__file__).parent
DEFAULTS = asdict(Config())
RECIPES = [name for name in ex.named_configs if name.startswith("task_")]
CONSTRUCTED = [
    *(locate(path) for pair in run.OBJECTIVES.values() for path in pair),
    ModelSizes,
    OptimizerSettings,
    Checkpoints,
    ValidationSchedule,
    find_checkpoint,
    new_run_folder,
    predictions_path,
]
MACHINE = {"accelerator": "cpu", "precision": 32}
MACHINE_WORDS = ["accelerator=cpu", "precision=32"]


def recipe(*names: str, **changes) -> dict:
    settings = dict(DEFAULTS)
    for name in names:
        settings |= ex.named_configs[name]()
    return check_values(settings | changes, Config)


class TestKeys:
    def test_each_is_read(self):
        read = {name for function in [*CONSTRUCTED, serve] for name in inspect.signature(function).parameters}
        for path in ("run.py", "modules/training/failures.py"):
            for node in ast.walk(ast.parse((ROOT / path).read_text())):
                if isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == "config":
                    read.add(getattr(node.slice, "value", None))
        assert set(DEFAULTS) - read == set()

    def test_each_argument_of_what_is_constructed_has_a_source(self):
        brought = {"sizes", "optimizer", "vocabulary", "answer_ids", "answer_mask", "num_answers_in_predictions"}
        brought |= {"max_clips", "folder", "signals", "monitor"}
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
        parts = (settings["vit_config"], settings["bert_config"], settings["answer_config"])
        sizes = construct(ModelSizes, {"max_clips": settings["max_pos_len"]}, *parts, settings)
        answers = torch.ones(3, 4, dtype=torch.long)
        of_data = {"vocabulary": ["yes", "no", "red"], "answer_ids": answers, "answer_mask": answers}
        with torch.device("meta"):
            given = {"sizes": sizes, "optimizer": construct(OptimizerSettings, settings)}
            model = construct(model_class, given, settings, of_data)
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


WORDS = {
    "with nframes=3": "no setting is called 'nframes' (did you mean 'nframe'?); `python run.py print_config` lists all",
    "with lr=3": "no setting is called 'lr'",
    "with task_finetune_anetq": "no recipe is called 'task_finetune_anetq' (did you mean 'task_finetune_anetqa'?)",
    "with nframe": "nframe is a setting and needs a value: nframe=16",
    "with nframe = 3": "nframe is a setting and needs a value: nframe=16",
    "print_confg": "no command or recipe is called 'print_confg' (did you mean 'print_config'?)",
    "task_finetune_agqa": "write `with` before the settings: python run.py with task_finetune_agqa …",
    "nframe=3": "write `with` before the settings: python run.py with nframe=3 …",
    "with bert_config.num_layer=3": "bert_config has no part called 'num_layer' (did you mean 'num_layers'?)",
    "with seed.x=3": "seed has no parts; write seed=VALUE",
}
VALUES = {
    "num_gpus": [
        ("two", "num_gpus must be a whole number ≥ 1; got num_gpus='two'"),
        (0, "num_gpus must be a whole number ≥ 1; got num_gpus=0"),
        (1.5, "got num_gpus=1.5"),
        (True, "got num_gpus=True"),
    ],
    "precision": [(8, "precision must be one of 32, 16, bf16; got precision=8"), ("16", "got precision='16'")],
    "drop_rate": [(1, "drop_rate must be a number ≥ 0 and < 1; got drop_rate=1"), (float("nan"), "got drop_rate=nan")],
    "seed": [(-1, "seed must be a whole number ≥ 0; got seed=-1"), (2**32, None)],
    "num_workers": [(1000, "num_workers must be a whole number ≥ 0 and ≤ 256; got num_workers=1000")],
    "learning_rate": [(0, "learning_rate must be a number > 0; got learning_rate=0")],
    "max_text_len": [(2, "max_text_len must be a whole number ≥ 3, or None; got max_text_len=2")],
    "trim": [(0, "trim must be a number > 0 and ≤ 1; got trim=0")],
    "temporal": [("false", "temporal must be True or False; got temporal='false' (write temporal=False)")],
    "load_path": [
        ("none", None),  # a file may be called so
        (
            3,
            "load_path must be text, or None; got load_path=3 (text that looks like a number needs quotes)",
        ),
    ],
    "max_epoch": [("None ", "max_epoch must be a whole number ≥ 1, or None"), (-1, "got max_epoch=-1")],
    "datasets": [([1], "datasets must be a list, each entry text; got datasets=[1]"), ("anetqa", None)],
    "vit_config": [
        ({"vit_depth": 0}, "vit_config must be a dict, each value a whole number ≥ 1"),
        (3, "got"),
    ],
    "warmup_steps": [(-1, "warmup_steps must be a whole number, or a number ≥ 0; got warmup_steps=-1")],
    "objective": [("vqa", "objective must be one of qa, trm; got objective='vqa'")],
}
HERE = str(Path(__file__).parent)
COMBINATIONS = [
    ({"exp_name": "a/../b"}, "exp_name='a/../b' names a folder; use letters, digits"),
    ({"exp_name": ".."}, "exp_name='..' names a folder"),
    ({"datasets": []}, "datasets is empty; name one"),
    ({"datasets": ["anetqa", "agqa"]}, "question answering has one vocabulary, thus one data set; name one"),
    ({"test_only": True, "resume_from": "last"}, "with test_only=True give load_path=CHECKPOINT instead"),
    ({"test_only": True}, "test_only=True needs a checkpoint to test: add load_path=CHECKPOINT"),
    ({"published_quirks": True}, "published_quirks=True is for testing the published checkpoints"),
    ({"image_size": 380}, "image_size=380 is not a multiple of patch_size=16; for example image_size=384"),
    (
        {"vit_config": {"vit_depth": 12, "vit_heads": 10}},
        "hidden_size=768 cannot be split into vit_config.vit_heads=10 heads; for example vit_config.vit_heads=8",
    ),
    (
        {"bert_config": DEFAULTS["bert_config"] | {"num_text_layers": 12}},
        "leaves no fusion layer of bert_config.num_layers=12; lower it to at most 11",
    ),
    (
        {"answer_config": DEFAULTS["answer_config"] | {"answer_heads": 4 * 10**5}},
        "cannot be split into answer_config.answer_heads=400000 heads; for example answer_config.answer_heads=768",
    ),
    (
        {"bert_config": DEFAULTS["bert_config"] | {"num_layers": 1, "num_text_layers": 1}},
        "bert_config.num_layers=1 is too few",
    ),
    ({"max_video_len": 120}, "more than the max_pos_len=100 positions; lower it to max_video_len=100"),
    (
        {"objective": "trm", "max_text_len": 40, "num_clips": 8, "max_video_len": 6},
        "do not fit into max_video_len=6 features, one each at least; lower it to num_clips=6 or raise max_video_len",
    ),
    ({"max_text_len": 600}, "more than the text encoder's 512 positions; lower it to at most 512"),
    ({"objective": "trm", "max_text_len": 508}, "lower it to at most 507"),
    ({"objective": "trm"}, "set the tokens to keep, as in max_text_len=40"),
    ({"max_epoch": None}, "the run has no end: set max_epoch=N or max_steps=N"),
    (
        {"per_gpu_batchsize": 7},
        "per_gpu_batchsize=7 × num_gpus=1 × num_nodes=1 = 7 questions at once do not divide it; "
        "for example per_gpu_batchsize=4",
    ),
    ({"num_gpus": 3}, "3 GPUs need a batch_size that they divide, as batch_size=72"),
    ({"questions_per_video": 16}, "do not fit into per_gpu_batchsize=8; lower it to at most 8"),
    ({"end_lr": 2e-5}, "end_lr=2e-05 is not below learning_rate=2e-05, from which the rate comes down to it; lower"),
    ({"warmup_steps": 500.0}, "for steps write warmup_steps=500"),
    ({"warmup_steps": 500, "max_steps": 100}, "is not below max_steps=100: the rate would never come down"),
    ({"val_check_interval": 400.0}, "for optimizer steps write a whole number, as val_check_interval=400"),
    ({"val_check_interval": 0}, "optimizer steps are at least 1; 1.0 means once an epoch"),
]
PATHS = [
    ({"data_root": None}, "data_root is not set: add data_root=FOLDER"),
    (
        {"data_root": f"{HERE}/fixture/a/b"},
        f"does not exist; {HERE} does, but holds no 'fixture' (did you mean 'fixtures'?)",
    ),
    ({"data_root": __file__}, "is not a folder"),
    ({"load_path": f"{HERE}/tset_config.py"}, "(did you mean 'test_config.py'?)"),
    ({"resume_from": "nowhere.ckpt"}, "resume_from='nowhere.ckpt' does not exist"),
    ({"log_dir": __file__}, "is a file; choose a folder"),
]
ASKED = [
    ({"video": None}, "video is not set: add video=FILE"),
    ({"video": "nowhere.mp4"}, "video='nowhere.mp4' does not exist"),
    ({"swin_path": HERE}, "is not a file"),
    ({"question": []}, "nothing is asked: add question="),
    ({"question": ["what is it", " "]}, "question is empty: write what is asked in quotes"),
]


class TestMessages:
    def _message(self, check, *arguments) -> str:
        with pytest.raises(InputError) as caught:
            check(*arguments)
        message = str(caught.value)
        assert "\n" not in message
        return message

    @pytest.mark.parametrize("command", WORDS)
    def test_words(self, command):
        assert WORDS[command] in self._message(check_words, command.split(), DEFAULTS, ex.named_configs, ex.commands)

    @pytest.mark.parametrize(("key", "value", "said"), [(key, *case) for key in VALUES for case in VALUES[key]])
    def test_values(self, key, value, said):
        if said is None:
            check_values(DEFAULTS | {key: value}, Config)
        else:
            assert said in self._message(check_values, DEFAULTS | {key: value}, Config)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"seed": ""}, "seed must be a whole number ≥ 0; got seed=''"),
            ({"val_questions": {"a": 1}}, "val_questions must be a whole number ≥ 1; got val_questions={'a': 1}"),
            ({"vit_config": {"vit_depht": 1}}, "vit_config has no part called 'vit_depht' (did you mean 'vit_depth'?)"),
            (
                {"vit_config": {"vit_depth": {"a": 1}}},
                "vit_config must be a dict, each value a whole number ≥ 1 and ≤ 999999; got",
            ),
        ],
    )
    def test_what_a_command_line_gives(self, given, said):
        assert said in self._message(check_updates, given, DEFAULTS, Config)

    def test_key_that_a_program_misspells(self):
        message = self._message(check_values, DEFAULTS | {"sed": 1}, Config)
        assert "no setting is called 'sed' (did you mean 'seed'?)" in message

    @pytest.mark.parametrize(("changes", "said"), COMBINATIONS)
    def test_combinations(self, changes, said):
        settings = recipe("task_finetune_anetqa", **{**MACHINE, **changes})
        assert said in self._message(check_combinations, settings)

    def test_tokenizer_with_more_tokens_than_embeddings(self):
        message = self._message(check_tokenizer, 30523, DEFAULTS)
        assert "has 30523 tokens, more than bert_config.vocab_size=30522 embeddings" in message

    @pytest.mark.parametrize(("changes", "said"), PATHS)
    def test_paths(self, changes, said):
        settings = recipe("task_finetune_anetqa", **{"data_root": HERE, **changes})
        assert said in self._message(check_paths, settings)

    @pytest.mark.parametrize(("changes", "said"), ASKED)
    def test_asked(self, changes, said):
        asked = {"video": __file__, "question": ["what is it"], **changes}
        assert said in self._message(path_checks.check_asked, DEFAULTS | asked)

    def test_log_folder_without_permission(self, tmp_path, monkeypatch):
        monkeypatch.setattr(path_checks.os, "access", lambda path, mode: False)  # root may write anywhere
        settings = recipe("task_finetune_anetqa", data_root=HERE, log_dir=str(tmp_path / "new"))
        assert f"{tmp_path} cannot be written to; choose another log_dir" in self._message(check_paths, settings)

    def test_what_is_right_passes(self):
        for name in RECIPES:
            check_combinations(recipe(name))
            check_combinations(recipe(name, num_nodes=2, num_gpus=2))


class Attack:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


class TestCommandLine:
    def test_print_config_marks_changes(self, capsys):
        words = ["task_finetune_agqa", "bert_config.num_layers=8", f"data_root={HERE}", *MACHINE_WORDS]
        assert run_command_line(["print_config", "with", *words]) == 0
        output = capsys.readouterr().out
        assert "\nTraining\n" in output
        assert "* nframe = 8   (default 16)\n" in output
        assert "  trim = 1.0\n" in output
        assert "'num_layers': 8, 'num_text_layers': 6" in output

    def test_print_config_alone_lists_all(self, capsys):
        assert run_command_line(["print_config"]) == 0
        captured = capsys.readouterr()
        assert all(f"  {key} = " in captured.out for key in DEFAULTS)
        assert captured.err == ""

    def test_print_config_refuses_a_value_that_a_run_would(self, capsys):
        assert run_command_line(["print_config", "with", "num_gpus=two"]) == 2
        assert capsys.readouterr().err.startswith("error: num_gpus must be a whole number")

    @pytest.mark.parametrize(
        "words",
        [
            ["per_gpu_batchsize=7"],
            ["precision=16"],
            ["test_only=True"],
            [f"load_path={HERE}/nowhere.ckpt"],
            [f"load_path={__file__}"],
            ["resume_from=last"],
            [f"data_root={HERE}/nowhere"],
        ],
    )
    def test_print_config_shows_and_says_what_would_stop_the_run(self, words, tmp_path, capsys):
        given = ["with", "task_finetune_anetqa", f"data_root={HERE}", f"log_dir={tmp_path}", *MACHINE_WORDS, *words]
        assert run_command_line(given) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert run_command_line(["print_config", *given]) == 2
        captured = capsys.readouterr()
        assert "* trim = 0.8   (default 1.0)\n" in captured.out
        assert captured.err == error

    @pytest.mark.parametrize("suffix", ["pickle", "json", "yaml"])
    def test_no_file_of_settings_runs_code(self, suffix, tmp_path, capsys):
        """Sacred would read one that is named after `with`, and run what it asks for."""
        witness, path = tmp_path / "witness", tmp_path / f"settings.{suffix}"
        unsafe = {
            "pickle": pickle.dumps(Attack(witness)),
            "yaml": f"seed: !!python/object/apply:os.mkdir [{witness}]".encode(),
        }
        asked = {"py/reduce": [{"py/function": "os.mkdir"}, {"py/tuple": [str(witness)]}]}
        unsafe["json"] = json.dumps({"exp_name": asked}).encode()
        path.write_bytes(unsafe[suffix])
        for words in (["with"], ["print_config", "with"], ["with", "task_finetune_agqa"]):
            assert run_command_line([*words, str(path)]) == 2
            error = capsys.readouterr().err
            assert error.count("\n") == 1
            assert str(path) in error
        assert not witness.exists()

    @pytest.mark.parametrize("key", ["load_path", "exp_name", "seed", "vit_config", "datasets"])
    def test_no_value_is_code(self, key, tmp_path, monkeypatch, capsys):
        """Sacred hands literals to jsonpickle, which is a pickle reader; the name of a file may be one."""
        monkeypatch.chdir(tmp_path)
        value = r"{'py\x2freduce': [{'py\x2ftype': 'os.system'}, {'py\x2ftuple': ['touch witness']}]}"
        (tmp_path / value).touch()
        run_command_line(["print_config", "with", f"{key}={value}"])
        run_command_line(["print_config", "with", f"{key}=[{value}]"])
        assert not (tmp_path / "witness").exists()
        assert "Traceback" not in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("{'py/repr':'os/os.getcwd()'}",) * 2,
            ("[{'py/object': 'no.X'}]",) * 2,
            ("{1: 2}",) * 2,
            ("{1, 2}",) * 2,
            ("[1, {2}]",) * 2,
            ("1j",) * 2,
            ("b'x'",) * 2,
            ("...",) * 2,
            ("-" * 5000 + "1",) * 2,
            ("9" * 5000,) * 2,
            ("a\0b",) * 2,
            ("(1, 'x')", [1, "x"]),
            ("{'vit_depth': 4}", {"vit_depth": 4}),
            ("None", None),
            ("1e-5", 1e-5),
            ("'12'", "12"),
            ("data/anetqa", "data/anetqa"),
        ],
    )
    def test_values_are_plain_or_text(self, text, value):
        assert parse_value(text) == value

    @pytest.mark.parametrize("word", ["seed={1,2}", "learning_rate=1j", "seed=...", "data_root=[1,{2}]", "nframe=5000"])
    def test_odd_literals_are_refused_in_a_line(self, word, capsys):
        assert run_command_line(["print_config", "with", "load_path=nowhere.ckpt", word]) == 2
        assert capsys.readouterr().err.count("\n") == 1

    def test_print_keys(self, capsys):
        assert run_command_line(["print_keys"]) == 0
        assert capsys.readouterr().out.strip() == markdown_table()

    @pytest.mark.parametrize("word", ["seed=", "seed=x", "val_questions={'a':1}", "hidden_size.a=1"])
    def test_values_that_sacred_would_stumble_over(self, word, capsys):
        assert run_command_line(["print_config", "with", word]) == 2
        assert capsys.readouterr().err.startswith(f"error: {word.split('=')[0].split('.')[0]} ")

    def test_error_has_no_traceback(self, capsys):
        assert run_command_line(["with", "task_finetune_anetqa", f"data_root={HERE}/nowhere"]) == 2
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 1
        assert captured.err.startswith("error: data_root=")

    @pytest.mark.parametrize("typed", ["2024_05_01", "1e3", "007", "0x1F", "3", "True", "1_000", "-1"])
    def test_a_text_setting_is_what_was_typed(self, typed, capsys):
        words = [f"exp_name={typed}", f"question={typed}", f"answer_encoder={typed}", f"log_dir={typed}"]
        run_command_line(["print_config", "with", *words, f"data_root={HERE}", *MACHINE_WORDS, "max_steps=1"])
        output = capsys.readouterr().out
        assert f"* exp_name = {typed!r} " in output
        assert f"* question = [{typed!r}] " in output
        assert f"* answer_encoder = {typed!r} " in output
        assert f"* log_dir = {typed!r} " in output

    def test_lists_of_text_and_quoted_text(self, capsys):
        run_command_line(["print_config", "with", "question=['a', 42, '3']", "exp_name='7_0'", "load_path=None"])
        output = capsys.readouterr().out
        assert "* question = ['a', '42', '3'] " in output
        assert "* exp_name = '7_0' " in output
        assert "  load_path = None\n" in output


SAVED = {"nframe": 3, "exp_name": "2024", "learning_rate": 1e-05, "trim": 1.0, "load_path": None, "max_steps": 7}


class TestFileOfSettings:
    """`with FILE.json` and `with FILE.yaml`: in the place of a recipe."""

    @pytest.fixture(params=["json", "yaml", "yml"])
    def path(self, request, tmp_path) -> Path:
        path = tmp_path / f"settings.{request.param}"
        dump = json.dumps if request.param == "json" else yaml.safe_dump
        path.write_text(dump(SAVED | {"bert_config": {"num_layers": 8}, "vit_config.vit_depth": 4}))
        return path

    def test_is_read_where_a_recipe_stands(self, path, capsys):
        words = ["task_finetune_anetqa", str(path), "max_steps=9", f"data_root={HERE}", *MACHINE_WORDS]
        assert run_command_line(["print_config", "with", *words]) == 0
        output = capsys.readouterr().out
        for line in ("nframe = 3", "exp_name = '2024'", "learning_rate = 1e-05", "max_steps = 9", "max_epoch = 5"):
            assert f"* {line} " in output
        assert "  trim = 1.0\n" in output
        assert "'num_layers': 8, 'num_text_layers': 6" in output
        assert "'vit_depth': 4, 'vit_heads': 12" in output
        assert set(ex.named_configs) == {*RECIPES, "toy"}

    def test_numbers_that_yaml_takes_for_text(self, tmp_path, capsys):
        (tmp_path / "own.yaml").write_text("learning_rate: 1e-5\nmax_epoch: None\n")
        run_command_line(["print_config", "with", "task_finetune_anetqa", str(tmp_path / "own.yaml")])
        assert "* learning_rate = 1e-05 " in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("nframes: 3", "no setting is called 'nframes' (did you mean 'nframe'?)"),
            ("nframe: many", "nframe must be a whole number ≥ 1 and ≤ 4096; got nframe='many' (as "),
            ("exp_name: 2024_05_01", "got exp_name=20240501 (text that looks like a number needs quotes) (as "),
            ("exp_name: 2024-05-01", "is not a file of settings: date is no value of a setting"),
            ("bert_config: {num_layer: 3}", "bert_config has no part called 'num_layer'"),
            ("seed.x: 3", "seed must be a whole number ≥ 0; got seed={'x': 3}"),
            ("1: 2", "is not a file of settings"),
            ("just text", "is not a file of settings: it holds no keys and values"),
            ("- a\n- b", "is not a file of settings: it holds no keys and values"),
            ("a: [", "is not a file of settings: while parsing"),
            ("\0", "is not a file of settings: "),
        ],
    )
    def test_what_is_wrong_is_one_line(self, text, said, tmp_path, capsys):
        path = tmp_path / "own.yaml"
        path.write_text(text)
        assert run_command_line(["with", "task_finetune_anetqa", str(path)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert said in error

    def test_that_is_not_there(self, capsys):
        assert run_command_line(["with", "nowhere.yaml"]) == 2
        assert capsys.readouterr().err == "error: nowhere.yaml does not exist\n"
