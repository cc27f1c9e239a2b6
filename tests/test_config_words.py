"""Words of the command line, and files of settings: what they set, and that neither runs code."""

import json

import pytest
import yaml

import run  # noqa: F401  (brings the commands)
from config import parse_value, run_command_line
from tests.kit.paths import ROOT
from tests.test_config import DEFAULTS

HERE = str(ROOT / "tests")
MACHINE = ["accelerator=cpu", "precision=32"]


@pytest.fixture
def printed(capsys):
    """What print_config shows, and the errors."""

    def show(*words: str) -> tuple[str, str]:
        capsys.readouterr()
        code = run_command_line(["print_config", *words])
        out, error = capsys.readouterr()
        assert (code, error.count("\n")) in ((0, 0), (2, 1))
        return out, error

    return show


@pytest.mark.parametrize("word", ["per_gpu_batchsize=7", "precision=16", f"load_path={__file__}", "data_root=nowhere"])
def test_print_config_shows_and_says_what_would_stop_the_run(word, tmp_path, capsys, printed):
    given = ["with", "task_finetune_anetqa", f"data_root={HERE}", f"log_dir={tmp_path}", *MACHINE, word]
    assert run_command_line(given) == 2
    error = capsys.readouterr().err
    out, said = printed(*given)
    assert "* trim = 0.8   (default 1.0)\n" in out and error == said != ""


@pytest.mark.parametrize("suffix", ["pickle", "json", "yaml"])
def test_no_file_of_settings_runs_code(suffix, tmp_path, capsys):
    """Sacred would read one that is named after `with`, and run what it asks for."""
    witness, path = tmp_path / "witness", tmp_path / f"settings.{suffix}"
    asked = {"py/reduce": [{"py/function": "os.mkdir"}, {"py/tuple": [str(witness)]}]}
    unsafe = {
        "pickle": f"cos\nmkdir\n(V{witness}\ntR.".encode(),  # unpickled, it makes a folder
        "yaml": f"seed: !!python/object/apply:os.mkdir [{witness}]".encode(),
        "json": json.dumps({"exp_name": asked}).encode(),
    }
    path.write_bytes(unsafe[suffix])
    assert run_command_line(["with", str(path)]) == run_command_line(["with", "task_finetune_agqa", str(path)]) == 2
    assert capsys.readouterr().err.count(str(path)) >= 2
    assert not witness.exists()


@pytest.mark.parametrize("key", ["load_path", "exp_name", "seed", "vit_config", "datasets"])
def test_no_value_is_code(key, tmp_path, monkeypatch, printed):
    """Sacred hands literals to jsonpickle, which is a pickle reader; the name of a file may be one."""
    monkeypatch.chdir(tmp_path)
    value = r"{'py\x2freduce': [{'py\x2ftype': 'os.system'}, {'py\x2ftuple': ['touch witness']}]}"
    (tmp_path / value).touch()
    for text in (value, f"[{value}]"):
        assert "Traceback" not in printed("with", f"{key}={text}")[1]
    assert not (tmp_path / "witness").exists()


def test_values_are_plain_or_text():
    for text in ("{'py/repr':'os/os.getcwd()'}", "{1: 2}", "[1, {2}]", "1j", "...", "9" * 5000, "a\0b", "data/anetqa"):
        assert parse_value(text) == text
    plain = {"(1, 'x')": [1, "x"], "{'vit_depth': 4}": {"vit_depth": 4}, "None": None, "1e-5": 1e-5, "'12'": "12"}
    assert {text: parse_value(text) for text in plain} == plain


@pytest.mark.parametrize("typed", ["2024_05_01", "1e3", "007", "0x1F", "True"])
def test_a_text_setting_is_what_was_typed(typed, printed):
    keys = ("exp_name", "answer_encoder", "log_dir")
    out, _ = printed("with", *(f"{key}={typed}" for key in keys), f"question={typed}", "load_path=None")
    for line in (f"* question = [{typed!r}] ", "  load_path = None\n", *(f"* {key} = {typed!r} " for key in keys)):
        assert line in out
    out, _ = printed("with", "question=['a', 42, '3']", "exp_name='7_0'")
    assert "* question = ['a', '42', '3'] " in out and "* exp_name = '7_0' " in out


@pytest.mark.parametrize("suffix", ["json", "yaml", "yml"])
def test_a_file_of_settings_is_read_where_a_recipe_stands(suffix, tmp_path, printed):
    path = tmp_path / f"settings.{suffix}"
    saved = {"nframe": 3, "exp_name": "2024", "learning_rate": 1e-05, "trim": 1.0, "load_path": None, "max_steps": 7}
    saved |= {"bert_config": {"num_layers": 8}, "vit_config.vit_depth": 4}
    path.write_text(json.dumps(saved) if suffix == "json" else yaml.safe_dump(saved))
    out, _ = printed("with", "task_finetune_anetqa", str(path), "max_steps=9", f"data_root={HERE}", *MACHINE)
    lines = ["* nframe = 3 ", "* exp_name = '2024' ", "* learning_rate = 1e-05 ", "* max_steps = 9 ", "  trim = 1.0\n"]
    for line in (*lines, "'num_layers': 8, 'num_text_layers': 6", "'vit_depth': 4, 'vit_heads': 12"):
        assert line in out
    assert all(f" {key} = " in out for key in DEFAULTS)
    path.write_text("{learning_rate: 1e-5, max_epoch: None}")  # numbers that YAML takes for text
    assert suffix == "json" or "* learning_rate = 1e-05 " in printed("with", str(path), "max_steps=9")[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nframes: 3", "no setting is called 'nframes' (did you mean 'nframe'?)"),
        ("nframe: many", "nframe must be a whole number ≥ 1 and ≤ 4096; got nframe='many' (as "),
        ("exp_name: 2024_05_01", "got exp_name=20240501 (text that looks like a number needs quotes) (as "),
        ("bert_config: {num_layer: 3}", "bert_config has no part called 'num_layer'"),
    ],
)
def test_what_is_wrong_with_a_file_of_settings_is_one_line(text, said, tmp_path, printed):
    (tmp_path / "own.yaml").write_text(text)
    assert said in printed("with", "task_finetune_anetqa", str(tmp_path / "own.yaml"))[1]
    assert "none.yaml does not exist" in printed("with", str(tmp_path / "none.yaml"))[1]
