"""Annotations, vocabularies, predictions, clip features, frames and videos to be broken."""

import csv
import io
import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import h5py
import numpy as np
from PIL import Image, ImageFile

import eval
from datamodules.qa import QADataModule
from datasets.clips import ClipFeatures
from datasets.frames import FrameReader
from datasets.question_table import QuestionTable
from datasets.sources import agqa, anetqa, vatex
from datasets.video.decoding import VideoFrames
from preproc.extract_frames import FrameSettings, extract_frames
from tests.datasets.test_frames import pillow_square
from tests.datasets.video.video_files import make_video
from tests.kit.small_world import ANSWERS

from .cases import Input, command, digest
from .mutations import Broken, Random, broken_csv, broken_json, damage


def train_once(world: Path) -> QADataModule:
    """Reads all that a training run reads."""
    sizes = {"per_gpu_batchsize": 4, "nframe": 2, "image_size": 16, "input_video_embed_size": 8}
    data = QADataModule(datasets=["anetqa"], data_root=world / "data", tokenizer=world / "tokenizer", **sizes)
    data.setup("fit")
    for loader in (data.train_dataloader(), data.val_dataloader()):
        for _ in loader:
            pass
    return data


def as_rows(table: QuestionTable, extra: str) -> str:
    videos, more, rows = table.video_ids, table.column(extra).to_pylist(), range(len(table))
    return digest([[table.qid(i), table.question(i), table.answer(i), videos[table.video(i)], more[i]] for i in rows])


def load_json(path: Path) -> Any:
    """As strictly as the format has it."""
    return json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=int)  # no NaN, which is no whole number


def csv_inputs(world: Path, random: Random) -> Iterator[Input]:
    path = world / "data/train.csv"

    def read() -> str:
        train_once(world)
        return as_rows(anetqa.read_questions(path), "type")

    def reference() -> str:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        rows = [[row[name] for name in ("qid", "question", "answer", "video_id", "type")] for row in rows]
        assert len({row[0] for row in rows}) == len(rows), "a question twice"
        assert all(row[4] in set("012345678") for row in rows), "a type that does not exist"
        return digest(rows)

    yield Input(path, read, reference, broken_csv(path.read_bytes().decode(), random, structural=40))


def json_inputs(world: Path, random: Random) -> Iterator[Input]:
    kinds = {"global": ["exists"], "semantic": "object", "structural": "verify", "ans_type": "binary", "nc_seq": 1}
    asked = {f"q{n}": {"question": f"what {n}?", "answer": "é", "video_id": f"V{n % 2}", **kinds} for n in range(4)}
    told = [{"videoID": f"v{n}", "enCap": ["a dog runs", "the cat é"][: n + 1], "more": n} for n in range(3)]
    questions, captions = world / "agqa.json", world / "vatex.json"

    def read_captions() -> str:
        table = vatex.SOURCE.read_captions(captions)
        return digest({table.video_id(video): table.captions(video) for video in range(len(table))})

    def reference_of_questions() -> str:
        fields = ("question", "answer", "video_id", "global")
        rows = [[qid, *(own[name] for name in fields)] for qid, own in load_json(questions).items()]
        return digest(rows).replace(r"\ud800", "?")  # as Arrow keeps a label that is no text

    def reference_of_captions() -> str:
        found: dict[str, list[str]] = {}
        for record in load_json(captions):
            assert isinstance(record["enCap"], list) and record["enCap"]
            found.setdefault(record["videoID"], []).extend(text.strip() for text in record["enCap"])
        return digest(found)

    for path, whole, read, reference in (
        (questions, asked, lambda: as_rows(agqa.read_questions(questions), "global"), reference_of_questions),
        (captions, told, read_captions, reference_of_captions),
    ):
        path.write_text(json.dumps(whole))
        yield Input(path, read, reference, broken_json(whole, random, structural=40))


def copy_inputs(world: Path, random: Random) -> Iterator[Input]:
    """The copy that is kept of annotations: if it is not whole, the annotations themselves are read."""
    path = world / "data/train.csv"
    read = lambda: as_rows(anetqa.read_questions(path), "type")  # noqa: E731
    read()
    copy = path.with_name(".train.csv.arrow")
    whole = copy.read_bytes()
    # It has no checksum: what is changed in place is for the disk to notice.
    broken = (own for own in damage(whole, random, count=110) if len(own[1]) != len(whole))
    yield Input(copy, read, lambda: "the annotations alone", broken)


def vocabulary_inputs(world: Path, random: Random) -> Iterator[Input]:
    path = world / "data/vocab.json"

    def reference() -> str:
        vocabulary = load_json(path)
        assert all(type(index) is int for index in vocabulary.values())
        assert sorted(vocabulary.values()) == list(range(len(vocabulary))), "not the numbers from 0 on"
        return digest(sorted(vocabulary, key=vocabulary.get))

    broken = broken_json(json.loads(path.read_text()), random, structural=30)
    yield Input(path, lambda: digest(train_once(world).vocabulary), reference, broken)


def prediction_inputs(world: Path, random: Random) -> Iterator[Input]:
    truth, path, scores = world / "data/test.csv", world / "predictions.json", world / "scores.json"
    with truth.open(newline="") as file:
        answers = {row["qid"]: row["answer"] for row in csv.DictReader(file)}
    whole = [{"qid": qid, "answer": "red", "answer10": ANSWERS[: 1 + n % 5]} for n, qid in enumerate(answers)]
    path.write_text(json.dumps(whole))

    def read() -> str:
        scores.unlink(missing_ok=True)
        command(eval.main, ["anet", str(path), str(truth), "--json", str(scores)])
        overall = json.loads(scores.read_text())["predictions"][0]["scores"]["overall"]["all"]
        return digest([overall["accuracy"], overall.get("accuracy@10")])

    def reference() -> str:
        records = load_json(path)
        assert sorted(record["qid"] for record in records) == sorted(answers)
        right = [record["answer"] == answers[record["qid"]] for record in records]
        among = None
        if any("answer10" in record for record in records):
            assert all(isinstance(record["answer10"], list) for record in records)
            among = 100 * sum(answers[record["qid"]] in record["answer10"] for record in records) / len(records)
        return digest([100 * sum(right) / len(right), among])

    yield Input(path, read, reference, broken_json(whole, random, structural=40))


# What create_dataset makes in the place of a video's clips, or what is linked there.
CLIPS = np.ones((3, 8), np.float32)
OTHER_CLIPS: dict[str, Any] = {
    "another width": {"data": CLIPS[:, 1:]},
    "a single number": {"data": CLIPS[0, 0]},
    "no clips": {"data": CLIPS[:0]},
    "integers": {"data": CLIPS.astype(int)},
    "complex numbers": {"data": CLIPS.astype(complex)},
    "text": {"data": CLIPS.astype("S")},
    "nothing": {"data": h5py.Empty("f")},
    "a NaN": {"data": np.where(np.eye(3, 8), np.nan, CLIPS)},
    "too large for float32": {"data": np.full((3, 8), 1e300)},
    "float16, compressed": {"data": CLIPS.astype(">f2"), "compression": "gzip"},
    "never written, a trillion clips": {"shape": (10**12, 8), "dtype": "f4", "chunks": (1024, 8)},
    "numbers from another file": {"shape": (3, 8), "external": [("/etc/passwd", 0, 96)]},
    "a link to itself": h5py.SoftLink("/train1"),
    "a link to what is no HDF5": h5py.ExternalLink("/etc/passwd", "/"),
}


def h5_inputs(world: Path, random: Random) -> Iterator[Input]:
    path, other = world / "data/anetqa.h5", world / "other.h5"
    whole = path.read_bytes()
    with h5py.File(path, "r") as file:
        videos = [name for name in file if not name.startswith("test")]

    def read() -> str:
        train_once(world)
        features = ClipFeatures(path, width=8)
        return digest({video: features.read(video) for video in videos})

    def reference() -> str:
        with h5py.File(path, "r") as file:
            found = {video: file[video][()] for video in videos}
        for clips in found.values():
            assert clips.ndim == 2 and clips.shape[1] == 8 and len(clips) and clips.dtype.kind == "f"
            assert np.isfinite(clips.astype(np.float32)).all()
        return digest({video: clips.astype(np.float32) for video, clips in found.items()})

    def changed() -> Iterator[Broken]:
        yield from damage(whole, random, count=44)
        for what, clips in OTHER_CLIPS.items():
            other.write_bytes(whole)
            with h5py.File(other, "r+") as file:
                del file["train1"]
                if isinstance(clips, dict):
                    file.create_dataset("train1", **clips)
                else:
                    file["train1"] = clips
            yield what, other.read_bytes()

    yield Input(path, read, reference, changed())


def image_inputs(suffix: str, world: Path, random: Random) -> Iterator[Input]:
    directory = world / "pictures/v"
    directory.mkdir(parents=True)
    rows, columns = np.mgrid[0:64, 0:80]
    image = Image.fromarray(np.stack([rows * 4, columns * 3, (rows + columns) % 256], axis=-1).astype(np.uint8))
    for number in range(1, 4):
        image.save(directory / f"000{number}.{suffix}")
    path = directory / f"0002.{suffix}"
    reader = FrameReader(directory.parent, nframe=3, image_size=64)

    def reference() -> str:
        frames = reader.read("v")
        # Pillow gives up on a jpg in which something follows its last line, which harms no pixel.
        with patch.object(ImageFile, "LOAD_TRUNCATED_IMAGES", suffix == "jpg"):
            expected = pillow_square(path, 64)
        difference = np.abs(frames[1].astype(int) - expected)
        assert difference.max() <= 3, f"pixels differ by {difference.max()} from Pillow's"
        return digest(frames)

    def changed() -> Iterator[Broken]:
        yield from damage(path.read_bytes(), random, count=55)
        others = [(kind, image) for kind in ("png", "jpeg", "gif", "bmp", "webp", "tiff")]
        others += [("png", image.convert(mode)) for mode in ("1", "L", "LA", "P", "RGBA")]
        others += [("jpeg", image.convert("CMYK")), ("png", image.resize((1, 1))), ("png", image.resize((1, 5000)))]
        for kind, other in others:
            file = io.BytesIO()
            other.save(file, kind)
            yield f"{kind} {other.mode} {other.size}", file.getvalue()

    yield Input(path, lambda: digest(reader.read("v")), reference, changed())


png_inputs, jpg_inputs = partial(image_inputs, "png"), partial(image_inputs, "jpg")


def mp4_inputs(world: Path, random: Random) -> Iterator[Input]:
    videos, frames = world / "videos", world / "extracted"
    options = ("-pix_fmt", "yuv420p", "-movflags", "+faststart")
    path = make_video(videos / "v_a; touch injected.mp4", 20, options=options)
    other = make_video(videos / "v_b.mp4", 3)  # of which nothing else must change

    def read() -> str:
        shutil.rmtree(frames, ignore_errors=True)
        Path(f"{frames}.failed.csv").unlink(missing_ok=True)
        if problems := extract_frames(videos, frames, "anetqa", FrameSettings(fps=None), jobs=1):
            (problem,) = problems
            assert problem.path == path and problem.reason and "\n" not in problem.reason
            return f"listed: {problem.reason}"
        return digest([np.asarray(Image.open(frame)) for frame in sorted(frames.glob("*/*.png"))])

    def reference() -> str:
        decoded = list(VideoFrames(path))
        assert len(decoded) > 1, "next to nothing of it is left, and nobody is told"
        return digest([*decoded, *VideoFrames(other)])

    yield Input(path, read, reference, damage(path.read_bytes(), random, count=44))
