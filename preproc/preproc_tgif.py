"""The public TGIF release to train.json and val.json: one record for each caption, `{"vid": …, "cap": …}`.

    python preproc/preproc_tgif.py -i TGIF-Release/data -o data/tgif

INPUT_DIR holds tgif-v1.0.tsv (a line `url<TAB>caption` each) and the lists of urls train.txt and val.txt, in a folder
splits/ or beside the TSV, as published. The `vid` of a GIF is the name of its file without ".gif":

    https://38.media.tumblr.com/9f6c…/tumblr_npblomNKW31uugdlwo1_400.gif  ->  tumblr_npblomNKW31uugdlwo1_400

which is also the key of its features when the file is kept under its own name. Urls that differ in host or folder alone
are one GIF: its captions come together, in the first split that lists it. With --features data/tgif/tgif.h5, GIFs
without features are left out.
"""

import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

if not __package__:  # run as a file: our own `datasets` lies beside this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from datasets.captions import caption_problem
from datasets.errors import InputError, explained, run_cli
from datasets.files import reading
from datasets.names import video_id_problem
from datasets.sources.tgif import SOURCE
from datasets.writing.captioned import parse_arguments, write_splits

CAPTIONS_FILE = "tgif-v1.0.tsv"
LIST_FILES = {"train": "train.txt", "val": "val.txt"}


def preprocess(input_dir: Path, output_dir: Path, features: Path | None = None) -> dict[str, int]:
    """Reads CAPTIONS_FILE and LIST_FILES of `input_dir` and writes train.json and val.json.

    Returns:
        split -> number of captions written.

    Raises:
        InputError: a file is missing or not TGIF's; a url is listed twice or has no caption; see `write_splits`.
    """
    input_dir = Path(input_dir)
    captions = read_captions_by_url(input_dir / CAPTIONS_FILE)
    records: dict[str, list[dict]] = {split: [] for split in LIST_FILES}
    place_of: dict[str, str] = {}  # url -> where it is listed
    split_of: dict[str, str] = {}  # vid -> the first split that lists it
    for split, name in LIST_FILES.items():
        path = input_dir / "splits" / name if (input_dir / "splits").is_dir() else input_dir / name
        left_out = 0
        for where, url in _lines(path):
            where = f"{path}, {where}"
            if url not in captions:
                raise InputError(f"{where}: {url!r} has no caption in {input_dir / CAPTIONS_FILE}")
            if place_of.setdefault(url, where) != where:
                raise InputError(f"{where}: {url!r} is listed already ({place_of[url]})")
            video_id = video_id_of(url, where)
            if split_of.setdefault(video_id, split) != split:
                left_out += 1
                continue
            records[split] += [{"vid": video_id, "cap": caption} for caption in captions[url]]
        if left_out:
            print(f"{split}: left out {left_out} urls of GIFs that an earlier split has under another url")
        if not records[split]:
            raise InputError(f"{path} lists no url of its own")
    return write_splits(records, "vid", SOURCE, Path(output_dir), features)


def video_id_of(url: str, where: str) -> str:
    """The name of a GIF's file without its suffix. Raises InputError, beginning with `where`, when there is none."""
    with explained(f"{where}: {url!r} is not a url", ValueError):
        video_id = PurePosixPath(unquote(urlsplit(url).path)).stem
    if problem := video_id_problem(video_id):
        raise InputError(f"{where}: {problem}")
    return video_id


def read_captions_by_url(path: Path) -> dict[str, list[str]]:
    """url -> its captions, in order.

    Raises:
        InputError: the file cannot be read; a line is not `url<TAB>caption`.
    """
    captions: dict[str, list[str]] = {}
    for where, line in _lines(path):
        url, tab, caption = line.partition("\t")
        whole = url.strip() and tab and "\t" not in caption
        problem = caption_problem(caption) if whole else f"{line[:80]!r} is not a url, a tab and a caption"
        if problem:
            raise InputError(f"{path}, {where}: {problem}")
        captions.setdefault(url.strip(), []).append(caption.strip())
    if not captions:
        raise InputError(f"{path} has no captions")
    return captions


def _lines(path: Path) -> list[tuple[str, str]]:
    """The lines that are not blank, each with its place in the file."""
    with reading(path):
        text = path.read_text(encoding="utf-8-sig")
    # Not splitlines(): it would break a caption at a form feed or a Unicode line separator.
    lines = ((f"line {number}", line.strip("\r ")) for number, line in enumerate(text.split("\n"), start=1))
    return [(where, line) for where, line in lines if line]


@run_cli
def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_arguments(arguments, __doc__, Path("data/tgif"))
    preprocess(options.input_dir, options.output_dir, options.features)


if __name__ == "__main__":
    raise SystemExit(main())
