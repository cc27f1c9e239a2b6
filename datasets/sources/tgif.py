"""TGIF: animated GIFs with a caption each (Li et al., CVPR 2016), as `preproc/preproc_tgif.py` writes it."""

from functools import partial

from ..captions import CaptionSource, read_caption_records

read_captions = partial(read_caption_records, id_field="vid", caption_field="cap")

SOURCE = CaptionSource(
    name="tgif",
    split_files={"train": "train.json", "val": "val.json"},
    read_captions=read_captions,
)
