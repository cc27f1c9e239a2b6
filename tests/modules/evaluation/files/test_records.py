"""Records beside predictions, as `eval.py` and its page tell of them."""

import pytest

from datasets.files import sha256_of

from ..results import make_results, write_json

SAME = {"probe": "none", "checkpoint_sha256": "ab" * 32, "test_split": "test", "nframe": 16, "precision": "32"}


@pytest.fixture
def command(tmp_path, score):
    """Writes a record beside each of two files, and evaluates them: what was printed, and the page."""
    truth, files = make_results(tmp_path, 6, 3, (0.4, 0.6, 0.5))

    def run(*records) -> tuple[list[str], str]:
        page = tmp_path / "page.html"
        for file, record in zip(files, records, strict=False):
            made = {"predictions_sha256": sha256_of(file), "checkpoint": f"ckpt/{file.stem}.ckpt", **record}
            write_json(file.with_name(f"{file.stem}.meta.json"), made)
        out, data = score("anet", *files[:2], truth, "--report", page)
        return out.splitlines(), page.read_text() if data else ""

    run.truth = truth
    return run


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, None),
        ({"checkpoint_sha256": "cd" * 32}, None),
        ({"nframe": 8, "frames_fps": 3}, "model0 and model1: other frames (nframe 16, 8; frames_fps not recorded, 3)"),
        ({"probe": "one_frame"}, "model0 and model1: another probe (probe none, one_frame)"),
        ({"test_split": "val"}, "model0 and model1: questions of another split (test_split test, val)"),
    ],
)
def test_what_differs_is_named(command, changed, told):
    lines, page = command(SAME, {**SAME, **changed})
    assert "model0 is by anetqa_by_model0.ckpt abababab, test split, nframe 16, precision 32" in lines
    assert [line for line in lines if line.startswith("model0 and model1:")] == ([told] if told else [])
    assert (told or "model0 is by anetqa_by_model0.ckpt") in page
