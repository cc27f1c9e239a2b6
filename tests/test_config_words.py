"""Words of the command line, and files of settings: what they set, and that neither runs code."""

import json
import os
import pickle
from pathlib import Path

import pytest
import yaml

import run  # noqa: F401  (brings the commands)
from config import ex, markdown_table, parse_value, run_command_line
from tests.kit.paths import ROOT
from tests.test_config import DEFAULTS, RECIPES

HERE = str(ROOT / "tests")
MACHINE_WORDS = ["accelerator=cpu", "precision=32"]


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
