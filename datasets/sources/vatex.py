"""VATEX: 10-second web videos with ten English captions each (Wang et al., ICCV 2019), laid out as its public JSON."""

from functools import partial

from ..captions import CaptionSource, read_caption_records

read_captions = partial(read_caption_records, id_field="videoID", caption_field="enCap")

SOURCE = CaptionSource(
    name="vatex",
    split_files={"train": "train.json", "val": "val.json"},
    read_captions=read_captions,
)
