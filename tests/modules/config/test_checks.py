"""What is refused before a run: a line that names the setting, its value, and where there is one the number to take."""

import pytest

from config import Config, ex
from datasets.errors import InputError
from modules.config import checks, path_checks
from tests.kit.paths import ROOT
from tests.test_config import DEFAULTS, RECIPES, recipe

HERE = str(ROOT / "tests")
BERT = DEFAULTS["bert_config"]

WORDS = {
    "with nframes=3": ["'nframes'", "'nframe'"],
    "with task_finetune_anetq": ["'task_finetune_anetq'", "'task_finetune_anetqa'"],
    "with nframe": ["nframe=16"],
    "print_confg": ["'print_confg'", "'print_config'"],
    "task_finetune_agqa": ["run.py with task_finetune_agqa"],
    "nframe=3": ["run.py with nframe=3"],
    "with bert_config.num_layer=3": ["bert_config", "'num_layer'", "'num_layers'"],
    "with seed.x=3": ["seed=VALUE"],
}
VALUES = {
    "num_gpus": ["two", 0, 1.5, True],
    "precision": [8, "16"],
    "drop_rate": [1, float("nan")],
    "seed": [-1],
    "num_workers": [1000],
    "learning_rate": [0],
    "max_text_len": [2],
    "trim": [0],
    "temporal": ["false"],
    "load_path": [3],
    "max_epoch": ["None ", -1],
    "datasets": [[1]],
    "vit_config": [{"vit_depth": 0}, 3],
    "warmup_steps": [-1],
    "objective": ["vqa"],
}
GIVEN = [
    ({"seed": ""}, ["seed=''"]),
    ({"val_questions": {"a": 1}}, ["val_questions={'a': 1}"]),
    ({"vit_config": {"vit_depht": 1}}, ["vit_config", "'vit_depht'", "'vit_depth'"]),
]
COMBINATIONS = [
    ({"exp_name": "a/../b"}, ["exp_name='a/../b'"]),
    ({"datasets": ["anetqa", "agqa"]}, ["one dataset"]),
    ({"test_only": True, "resume_from": "last"}, ["test_only=True", "load_path=CHECKPOINT"]),
    ({"published_quirks": True}, ["published_quirks=True"]),
    ({"image_size": 380}, ["image_size=380", "patch_size=16", "image_size=384"]),
    ({"vit_config": {"vit_depth": 12, "vit_heads": 10}}, ["hidden_size=768", "vit_config.vit_heads=8"]),
    ({"bert_config": BERT | {"num_text_layers": 12}}, ["bert_config.num_layers=12", "at most 11"]),
    ({"answer_config": DEFAULTS["answer_config"] | {"answer_heads": 4 * 10**5}}, ["answer_config.answer_heads=768"]),
    ({"bert_config": BERT | {"num_layers": 1, "num_text_layers": 1}}, ["bert_config.num_layers=1"]),
    ({"max_video_len": 120}, ["max_pos_len=100", "max_video_len=100"]),
    ({"objective": "trm", "max_text_len": 40, "num_clips": 8, "max_video_len": 6}, ["max_video_len=6", "num_clips=6"]),
    ({"max_text_len": 600}, ["at most 512"]),
    ({"objective": "trm"}, ["max_text_len=40"]),
    ({"max_epoch": None}, ["max_epoch=N", "max_steps=N"]),
    ({"per_gpu_batchsize": 7}, ["per_gpu_batchsize=7", "per_gpu_batchsize=4"]),
    ({"num_gpus": 3}, ["batch_size=72"]),
    ({"end_lr": 2e-5}, ["end_lr=2e-05", "learning_rate=2e-05"]),
    ({"warmup_steps": 500.0}, ["warmup_steps=500"]),
    ({"val_check_interval": 400.0}, ["val_check_interval=400"]),
    ({"val_check_interval": 0}, ["at least 1"]),
]
PATHS = [
    ({"data_root": None}, ["data_root=FOLDER"]),
    ({"data_root": f"{HERE}/fixture/a/b"}, [f"{HERE} does", "'fixture'", "'fixtures'"]),
    ({"data_root": __file__}, [__file__]),
    ({"load_path": f"{HERE}/tset_config.py"}, ["'test_config.py'"]),
    ({"resume_from": "nowhere.ckpt"}, ["resume_from='nowhere.ckpt'"]),
    ({"log_dir": __file__}, [__file__]),
]
ASKED = [
    ({"video": "nowhere.mp4"}, ["video='nowhere.mp4'"]),
    ({"swin_path": HERE}, [HERE]),
    ({"question": []}, ["question="]),
    ({"question": ["what is it", " "]}, ["question"]),
]


def qa(**changes):
    return recipe("task_finetune_anetqa", accelerator="cpu", precision=32, **changes)


def cases():
    """A check, its arguments, and what is in the message."""
    for command, said in WORDS.items():
        yield checks.check_words, (command.split(), DEFAULTS, ex.named_configs, ex.commands), said
    for key, values in VALUES.items():
        for value in values:
            yield checks.check_values, (DEFAULTS | {key: value}, Config), [f"{key} must be", f"got {key}={value!r}"]
    yield checks.check_values, (DEFAULTS | {"sed": 1}, Config), ["'sed'", "'seed'"]
    for given, said in GIVEN:
        yield checks.check_updates, (given, DEFAULTS, Config), said
    for changes, said in COMBINATIONS:
        yield checks.check_combinations, (qa(**changes),), said
    yield checks.check_tokenizer, (["a"] * 30523, DEFAULTS), ["30523", "bert_config.vocab_size=30522"]
    for changes, said in PATHS:
        yield path_checks.check_paths, (qa(**{"data_root": HERE, **changes}),), said
    for changes, said in ASKED:
        asked = {"video": __file__, "question": ["what is it"], **changes}
        yield path_checks.check_asked, (DEFAULTS | asked,), said


def refused(check, arguments) -> str:
    """The message."""
    with pytest.raises(InputError) as caught:
        check(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(("check", "arguments", "said"), list(cases()))
def test_message_names_what_is_wrong(check, arguments, said):
    message = refused(check, arguments)
    assert "\n" not in message
    assert [word for word in said if word not in message] == [], message


def test_log_folder_without_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(path_checks.os, "access", lambda path, mode: False)  # root may write anywhere
    message = refused(path_checks.check_paths, (qa(data_root=HERE, log_dir=str(tmp_path / "new")),))
    assert str(tmp_path) in message and "log_dir" in message


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_pass(name):
    checks.check_combinations(recipe(name))
    checks.check_combinations(recipe(name, num_nodes=2, num_gpus=2))
