import hashlib

from datasets.checking import published


def test_a_file_is_told_by_its_content(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_bytes(b"[1]")
    monkeypatch.setattr(published, "FILES", {hashlib.sha256(b"[1]").hexdigest(): "Somebody's a.json"})
    assert published.which_published([tmp_path / "a.json"]) == [f"{tmp_path / 'a.json'}: Somebody's a.json"]
