"""Names that differ in spelling alone, and those that systems give."""

import unicodedata

from datasets.names import is_system_entry, other_spellings

SYSTEMS = "lost+found @eaDir #recycle #snapshot .DS_Store ._v_a.mp4 thumbs.db desktop.ini $RECYCLE.BIN .Trash-1000"
SYSTEMS += " @Recycle .@__thumb __MACOSX .snapshot ~snapshot Icon\r .nfs0000000001 .fseventsd .Spotlight-V100"
PEOPLES = "v_a -dash _x #1-goal @home lost recycled.mp4 .hidden $5 Thumbs.db.mp4"


def test_other_spellings():
    nfc, nfd = (unicodedata.normalize(form, "Zoë 한국") for form in ("NFC", "NFD"))
    assert other_spellings([nfc, "a", "b"], {nfd, "a"}) == {nfc: nfd}
    assert other_spellings([nfd, "é"], {nfc}) == {nfd: nfc}
    assert other_spellings([nfc], {nfc, nfd}) == {}  # a name is itself first


def test_entries_of_systems_and_of_people():
    assert [name for name in [*SYSTEMS.split(" "), "System Volume Information"] if not is_system_entry(name)] == []
    assert [name for name in PEOPLES.split() if is_system_entry(name)] == []
