"""Names that differ in spelling alone, and those that systems give."""

import unicodedata

import pytest

from datasets.names import is_system_entry, other_spellings


def test_other_spellings():
    nfc, nfd = (unicodedata.normalize(form, "Zoë 한국") for form in ("NFC", "NFD"))
    assert nfc != nfd
    assert other_spellings([nfc, "a", "b"], {nfd, "a"}) == {nfc: nfd}
    assert other_spellings([nfd, "é"], {nfc}) == {nfd: nfc}
    assert other_spellings([nfc], {nfc, nfd}) == {}  # a name is itself first


@pytest.mark.parametrize(
    "name",
    (
        *("lost+found", "@eaDir", "#recycle", "#snapshot", ".DS_Store", "._v_a.mp4", "Thumbs.db", "thumbs.db"),
        *(
            "desktop.ini",
            "$RECYCLE.BIN",
            "System Volume Information",
            ".Trash-1000",
            ".Trashes",
            "@Recycle",
            ".@__thumb",
        ),
        *("__MACOSX", ".snapshot", "~snapshot", "Icon\r", ".nfs0000000001", ".fseventsd", ".Spotlight-V100"),
    ),
)
def test_entries_of_systems(name):
    assert is_system_entry(name)


@pytest.mark.parametrize("name", ("v_a", "-dash", "_x", "#1 goal", "@home", "lost", "recycled.mp4", ".hidden", "$5"))
def test_entries_of_people(name):
    assert not is_system_entry(name)
