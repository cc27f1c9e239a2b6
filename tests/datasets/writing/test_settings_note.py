"""Notes of the settings of an output."""

import pytest

from datasets.errors import InputError
from datasets.writing.settings_note import keep_settings


def test_settings_are_kept(tmp_path):
    keep_settings(tmp_path / "s.json", {"fps": 3.0, "format": "png"}, "the frames")
    keep_settings(tmp_path / "s.json", {"fps": 3.0, "format": "png"}, "the frames")
    with pytest.raises(
        InputError, match=r"the frames were made with fps = 3.0, and this run has 2.0: use the same, or"
    ):
        keep_settings(tmp_path / "s.json", {"fps": 2.0, "format": "png"}, "the frames")


def test_settings_that_are_none(tmp_path):
    for text in ("[]", "null", '"fps"'):
        (tmp_path / "s.json").write_text(text)
        with pytest.raises(InputError, match=r"s\.json is not a JSON object of settings: restore it, or"):
            keep_settings(tmp_path / "s.json", {"fps": 3.0}, "the frames")
