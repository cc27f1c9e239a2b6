from datasets.names import is_system_entry

SYSTEMS = "lost+found @eaDir #recycle #snapshot .DS_Store ._v_a.mp4 thumbs.db desktop.ini $RECYCLE.BIN .Trash-1000"
SYSTEMS += " @Recycle .@__thumb __MACOSX .snapshot ~snapshot Icon\r .nfs0000000001 .fseventsd .Spotlight-V100"
PEOPLES = "v_a -dash _x #1-goal @home lost recycled.mp4 .hidden $5 Thumbs.db.mp4"


def test_entries_of_systems_and_of_people():
    assert [name for name in [*SYSTEMS.split(" "), "System Volume Information"] if not is_system_entry(name)] == []
    assert [name for name in PEOPLES.split() if is_system_entry(name)] == []
