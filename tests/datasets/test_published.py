"""Published files are recognised by their content."""

import hashlib

from datasets.checking import published


def test_a_file_is_told_by_its_content(tmp_path, monkeypatch):
    known, other, missing = (tmp_path / name for name in ("a.json", "b.json", "c.json"))
    known.write_bytes(b"[1]")
    other.write_bytes(b"[2]")
    monkeypatch.setattr(published, "FILES", {hashlib.sha256(b"[1]").hexdigest(): "Somebody's a.json"})
    assert published.which_published([known, other, missing]) == [
        f"{known}: Somebody's a.json",
        f"{other}: not one of the published files known here",
    ]
