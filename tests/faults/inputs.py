"""Intact inputs of each kind, with two readers of each: a command's, and another."""

import csv
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import h5py
import numpy as np
import torch
from PIL import Image, ImageFile
from safetensors.torch import load_file, save

import eval
from config import Config, run_command_line
from datamodules.qa import QADataModule
from datasets.clips import ClipFeatures
from datasets.frames import FrameReader
from datasets.question_table import QuestionTable
from datasets.sources import agqa, anetqa
from datasets.video.decoding import VideoFrames
from modules.checkpoints.loading import load_weights
from modules.checkpoints.metadata import infer_sizes
from modules.checkpoints.reader import read_checkpoint
from modules.models.dest import DeST
from preproc.convert_checkpoint import describe
from preproc.extract_frames import FrameSettings, extract_frames
from tests.datasets.test_frames import pillow_square
from tests.datasets.video.video_files import make_video
from tests.kit.runs import load, train
from tests.kit.small_world import ANSWERS, settings

from .cases import ODD_VALUES, Input, Random, broken_csv, broken_json, command, damage, digest, restructure

VIDEOS = [f"{split}{number}" for split in ("train", "val") for number in range(6)]
FRAMES = partial(FrameReader, nframe=4, image_size=16)


def load_json(path: Path) -> Any:
    """As strictly as the format has it."""
    return json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=int)  # no NaN, which is no whole number


def as_rows(table: QuestionTable, extra: str) -> list[list[Any]]:
    videos, more, rows = table.video_ids, table.column(extra).to_pylist(), range(len(table))
    return [[table.qid(i), table.question(i), table.answer(i), videos[table.video(i)], more[i]] for i in rows]


def read_data(world: Path) -> str:
    """As a training run does."""
    sizes = {"per_gpu_batchsize": 4, "nframe": 2, "image_size": 16, "input_video_embed_size": 8}
    data = QADataModule(datasets=["anetqa"], data_root=world / "data", tokenizer=world / "tokenizer", **sizes)
    data.setup("fit")
    for loader in (data.train_dataloader(), data.val_dataloader()):
        list(loader)
    rows = as_rows(anetqa.read_questions(world / "data/train.csv"), "type")
    features = ClipFeatures(world / "data/anetqa.h5", width=8)
    clips, frames = [features.read(video) for video in VIDEOS], FRAMES(world / "data/frames").read("v_train1")
    return digest([rows, data.vocabulary, clips, frames])


def data_as_others_read_it(world: Path) -> str:
    with (world / "data/train.csv").open(encoding="utf-8-sig", newline="") as file:
        names = ("qid", "question", "answer", "video_id", "type")
        rows = [[row[name] for name in names] for row in csv.DictReader(file, strict=True)]
    assert len({row[0] for row in rows}) == len(rows), "a question twice"
    assert all(row[4] in set("012345678") for row in rows), "a type that does not exist"
    vocabulary = load_json(world / "data/vocab.json")
    assert all(type(index) is int for index in vocabulary.values())
    assert sorted(vocabulary.values()) == list(range(len(vocabulary))), "not the numbers from 0 on"
    with h5py.File(world / "data/anetqa.h5", "r") as file:
        clips = [file[video][()] for video in VIDEOS]
    assert all(own.shape == (len(own) or 1, 8) and own.dtype == np.float32 and np.isfinite(own).all() for own in clips)
    frames = FRAMES(world / "data/frames").read("v_train1")
    for path, frame in zip(sorted((world / "data/frames/v_train1").iterdir()), frames, strict=True):
        # Pillow gives up on a jpg in which something follows its last line, which harms no pixel.
        with patch.object(ImageFile, "LOAD_TRUNCATED_IMAGES", path.suffix == ".jpg"):
            assert np.abs(frame.astype(int) - pillow_square(path, 16)).max() <= 3, "other pixels than Pillow's"
    return digest([rows, sorted(vocabulary, key=vocabulary.get), clips, frames])


def data_input(world: Path, random: Random, kind: str) -> Input:
    """A file of a dataset; one frame of a video is a jpg or a png."""
    frame = world / "data/frames/v_train1/0002.png"
    if kind == "jpg":
        for path in list(frame.parent.iterdir()):
            Image.open(path).resize((80, 64)).save(path.with_suffix(".jpg"))
            path.unlink()
    files = {"csv": "data/train.csv", "vocabulary": "data/vocab.json", "h5": "data/anetqa.h5"}
    path = world / files[kind] if kind in files else frame.with_suffix(f".{kind}")
    whole = path.read_bytes()
    if kind == "csv":
        broken = broken_csv(whole.decode(), random, structural=40)
    elif kind == "vocabulary":
        broken = broken_json(json.loads(whole), random, structural=30)
    else:
        broken = damage(whole, random, count=55)
    return Input(path, partial(read_data, world), partial(data_as_others_read_it, world), broken)


def json_input(world: Path, random: Random) -> Input:
    kinds = {"global": ["exists"], "semantic": "object", "structural": "verify", "ans_type": "binary", "nc_seq": 1}
    whole = {f"q{n}": {"question": f"what {n}?", "answer": "é", "video_id": f"V{n % 2}", **kinds} for n in range(4)}
    path, names = world / "agqa.json", ("question", "answer", "video_id", "global")
    path.write_text(json.dumps(whole))

    def reference() -> str:
        rows = [[qid, *(own[name] for name in names)] for qid, own in load_json(path).items()]
        return digest(rows).replace(r"\ud800", "?")  # as Arrow keeps a label that is no text

    read = lambda: digest(as_rows(agqa.read_questions(path), "global"))  # noqa: E731
    return Input(path, read, reference, broken_json(whole, random, structural=60))


def predictions_input(world: Path, random: Random) -> Input:
    truth, path, scores = world / "data/test.csv", world / "predictions.json", world / "scores.json"
    with truth.open(newline="") as file:
        answers = {row["qid"]: row["answer"] for row in csv.DictReader(file)}
    whole = [{"qid": qid, "answer": "red", "answer10": ANSWERS[: 1 + n % 5]} for n, qid in enumerate(answers)]
    path.write_text(json.dumps(whole))

    def read() -> str:
        command(eval.main, ["anet", str(path), str(truth), "--json", str(scores)])
        overall = json.loads(scores.read_text())["predictions"][0]["scores"]["overall"]["all"]
        return digest([overall["accuracy"], overall.get("accuracy@10")])

    def reference() -> str:
        records = load_json(path)
        assert sorted(record["qid"] for record in records) == sorted(answers)
        right, among = sum(record["answer"] == answers[record["qid"]] for record in records), None
        if any("answer10" in record for record in records):
            assert all(isinstance(record["answer10"], list) for record in records)
            among = 100 * sum(answers[record["qid"]] in record["answer10"] for record in records) / len(records)
        return digest([100 * right / len(records), among])

    return Input(path, read, reference, broken_json(whole, random, structural=40))


def mp4_input(world: Path, random: Random) -> Input:
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

    return Input(path, read, reference, damage(path.read_bytes(), random, count=44))


def saved(content: dict[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def trained(world: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    checkpoint = load(train(world, "it", "max_epoch=1") / "checkpoints/last.ckpt")
    return {key: checkpoint[key] for key in ("state_dict", "dest")}


def checkpoint_input(world: Path, random: Random, kind: str) -> Input:
    """The weights go into a network."""
    whole = trained(world)
    content, reader = {
        "zip": (saved(whole), lambda path: whole["state_dict"]),  # it has checksums: nothing else may come out
        "legacy": (saved(whole, _use_new_zipfile_serialization=False), lambda path: load(path)["state_dict"]),
        "safetensors": (save(whole["state_dict"]), load_file),
    }[kind]
    path = world / f"{kind}.ckpt"
    path.write_bytes(content)

    def read() -> str:
        file = read_checkpoint(path)
        describe(file)
        network = DeST(infer_sizes(file))
        load_weights(network, file, verbose=False)
        return as_text(network.state_dict())

    def as_text(weights: dict[str, torch.Tensor]) -> str:
        return digest({name: weight.numpy() for name, weight in weights.items()})

    return Input(path, read, lambda: as_text(reader(path)), damage(content, random, count=33))


def forged_input(world: Path, random: Random) -> Input:
    """Whole files, with checksums that are right, which say something else; as `load_path` of a test."""
    path, results, whole = world / "forged.ckpt", world / "predictions", trained(world)
    path.write_bytes(saved(whole))
    words = ["with", "test_only=True", f"load_path={path}", f"data_root={world / 'data'}", f"log_dir={results}"]
    words += ["overwrite=True", "accelerator=cpu", "precision=32", "num_workers=0"]

    def read() -> str:
        command(run_command_line, words)
        return (results / "anetqa_by_forged.json").read_text()

    def reference() -> str:
        now = load(path)["state_dict"]
        for name, weight in whole["state_dict"].items():
            assert now[name].shape == weight.shape and now[name].isfinite().all(), name
        return read()

    parts = ("state_dict", "dest") * 25
    forged = (saved({**whole, part: restructure(whole[part], random)}) for part in parts)
    return Input(path, read, reference, forged, may_be_unclear=True)


def settings_input(world: Path, random: Random, as_file: bool) -> Input:
    """What may be right runs, one batch."""
    defaults, path = asdict(Config()), world / "settings.json"
    names = [*defaults, *(f"{name}.{part}" for name, own in defaults.items() if isinstance(own, dict) for part in own)]
    path.write_text(json.dumps(defaults if as_file else ["seed=1"]))

    def read() -> str:
        torch.set_num_threads(1)
        own = [str(path)] if as_file else json.loads(path.read_text())
        last = ["fast_dev_run=1", "num_gpus=1", "compile=False", f"log_dir={world / 'result'}"]  # how much, and where
        command(run_command_line, [*settings(world, *own), *last])
        return "ran"

    def words() -> Iterator[bytes]:
        for number in range(150):
            odd = [ODD_VALUES[index] for index in random.integers(len(ODD_VALUES), size=1 + number % 3)]
            own = [f"{random.choice(names)}={value}"[:200] for value in odd]  # a file's name has at most 255 bytes
            own[0] = own[0].replace("_", "", 1) if number % 8 == 0 else own[0]
            yield json.dumps(own).encode()

    broken = broken_json(defaults, random, structural=60) if as_file else words()
    return Input(path, read, lambda: "ran", broken, named="")


KINDS = {
    **{kind: partial(data_input, kind=kind) for kind in ("csv", "vocabulary", "h5", "png", "jpg")},
    **{"json": json_input, "predictions": predictions_input, "mp4": mp4_input, "forged": forged_input},
    **{f"checkpoint {kind}": partial(checkpoint_input, kind=kind) for kind in ("zip", "legacy", "safetensors")},
    **{"words": partial(settings_input, as_file=False), "settings file": partial(settings_input, as_file=True)},
}
