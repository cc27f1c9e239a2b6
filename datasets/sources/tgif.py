"""TGIF: animated GIFs with a caption each (Li et al., CVPR 2016), as `preproc/preproc_tgif.py` writes it."""

from pathlib import Path

from ..captions import CaptionSource, CaptionTable, read_caption_records


def read_captions(path: str | Path) -> CaptionTable:
    """Reads a list of `{"vid": …, "cap": …}`. Raises InputError when it is anything else."""
    return read_caption_records(path, id_field="vid", caption_field="cap")


SOURCE = CaptionSource(
    name="tgif",
    split_files={"train": "train.json", "val": "val.json"},
    read_captions=read_captions,
)
