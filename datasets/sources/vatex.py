"""VATEX: 10-second web videos with ten English captions each (Wang et al., ICCV 2019), laid out as its public JSON."""

from pathlib import Path

from ..captions import CaptionSource, CaptionTable, read_caption_records


def read_captions(path: str | Path) -> CaptionTable:
    """Reads a list of `{"videoID": …, "enCap": […]}`. Raises InputError when it is anything else."""
    return read_caption_records(path, id_field="videoID", caption_field="enCap")


SOURCE = CaptionSource(
    name="vatex",
    split_files={"train": "train.json", "val": "val.json"},
    read_captions=read_captions,
)
