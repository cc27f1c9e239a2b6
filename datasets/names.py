"""Names of files: the same in two spellings, the systems' own entries, and what may become one."""

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable

# What systems put into the folders of others: Windows, macOS, Linux; Synology, QNAP, NetApp and other file servers.
_SYSTEM_ENTRY = re.compile(
    r"""
    \._.* | \.DS_Store | \.AppleDouble | \.Spotlight-V100 | \.fseventsd | \.DocumentRevisions-V100 | \.TemporaryItems
    | \.Trash.* | \.apdisk | \.VolumeIcon\.icns | Icon\r | __MACOSX | Network\ Trash\ Folder | Temporary\ Items
    | Thumbs\.db | ehthumbs.*\.db | desktop\.ini | \$RECYCLE\.BIN | System\ Volume\ Information
    | lost\+found | aquota\.(user|group) | \.nfs[0-9a-f]+ | \.snapshots? | \.zfs | ~snapshot | \.fuse_hidden.*
    | @eaDir | @tmp | @sharebin | @__thumb | @Recycle | @Recently-Snapshot | @Transcode | \.@.* | \#recycle | \#snapshot
    """,
    re.IGNORECASE | re.VERBOSE,
)

# Ways out of a folder, also on other systems; control characters; halves of surrogate pairs, which stand for bytes that
# are no text. Whatever else is invisible (spaces of all widths, joiners, soft hyphens) occurs in the names of files.
_NO_FILE_NAME = re.compile(r"[/\\:\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def is_system_entry(name: str) -> bool:
    """True for names of files and folders that systems make for themselves: `lost+found`, `@eaDir`, `.DS_Store`."""
    return _SYSTEM_ENTRY.fullmatch(name) is not None


def spelt_alike(name: str) -> str:
    """The name with every accent in one character with its letter (NFC); Macs keep them apart (NFD)."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def other_spellings(wanted: Iterable[str], present: Collection[str]) -> dict[str, str]:
    """Wanted name -> the present one that differs from it in how accents are spelt, for those that are not present."""
    absent = [name for name in wanted if not name.isascii() and name not in present]
    if not absent:
        return {}
    spelt = {spelt_alike(name): name for name in present if not name.isascii()}
    return {name: spelt[spelt_alike(name)] for name in absent if spelt_alike(name) in spelt}


def video_id_problem(video_id: str) -> str | None:
    """Says what is wrong with an id that is no plain file name, so that no path made of it leaves the data folder."""
    if video_id in ("", ".", "..") or _NO_FILE_NAME.search(video_id):
        return f"the video id {video_id!r} cannot be a file name (no '/', '\\', ':', control character nor '..')"
    return None


def hashed_name(video_id: str) -> str:
    """A file name for a video id of any length and characters."""
    return hashlib.sha256(video_id.encode(errors="surrogateescape")).hexdigest()[:32]
