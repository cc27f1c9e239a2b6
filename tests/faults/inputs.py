"""Intact inputs of each kind, with two readers of each: a command's, and another."""

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator
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
from modules.evaluation.page.curves import read_run
from modules.models.dest import DeST
from preproc.convert_checkpoint import describe
from preproc.extract_frames import FrameSettings, extract_frames
from tests.datasets.test_frames import pillow_square
from tests.datasets.video.video_files import make_video
from tests.kit.runs import load, run_folder, train
from tests.kit.small_world import ANSWERS, settings

from .cases import ODD_VALUES, Broken, Input, Random, broken_csv, broken_json, command, damage, digest, restructure


VIDEOS = [f"{split}{number}" for split in ("train", "val") for number in range(6)]


def load_json(path: Path) -> Any:
    """As strictly as the format has it."""
    return json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=int)  # no NaN, which is no whole number


def as_rows(table: QuestionTable, extra: str) -> list[list[Any]]:
    videos, more, rows = table.video_ids, table.column(extra).to_pylist(), range(len(table))
    return [[table.qid(i), table.question(i), table.answer(i), videos[table.video(i)], more[i]] for i in rows]


def read_frames(world: Path) -> np.ndarray:
    return FrameReader(world / "data/frames", nframe=4, image_size=16).read("v_train1")


def read_data(world: Path) -> str:
    """As a training run does."""
    sizes = {"per_gpu_batchsize": 4, "nframe": 2, "image_size": 16, "input_video_embed_size": 8}
    data = QADataModule(datasets=["anetqa"], data_root=world / "data", tokenizer=world / "tokenizer", **sizes)
    data.setup("fit")
    for loader in (data.train_dataloader(), data.val_dataloader()):
        for _ in loader:
            pass
    rows = as_rows(anetqa.read_questions(world / "data/train.csv"), "type")
    clips = ClipFeatures(world / "data/anetqa.h5", width=8)
    return digest([rows, data.vocabulary, [clips.read(video) for video in VIDEOS], read_frames(world)])


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
    assert all(own.ndim == 2 and own.shape[1] == 8 and len(own) and own.dtype == np.float32 for own in clips)
    assert all(np.isfinite(own).all() for own in clips)
    frames = read_frames(world)
    for path, frame in zip(sorted((world / "data/frames/v_train1").iterdir()), frames, strict=True):
        # Pillow gives up on a jpg in which something follows its last line, which harms no pixel.
        with patch.object(ImageFile, "LOAD_TRUNCATED_IMAGES", path.suffix == ".jpg"):
            difference = np.abs(frame.astype(int) - pillow_square(path, 16)).max()
        assert difference <= 3, f"pixels differ by {difference} from Pillow's"
    return digest([rows, sorted(vocabulary, key=vocabulary.get), clips, frames])


def data_input(world: Path, name: str, broken: Callable[[bytes], Iterator[Broken]]) -> list[Input]:
    path = world / "data" / name
    read, reference = partial(read_data, world), partial(data_as_others_read_it, world)
    return [Input(path, read, reference, broken(path.read_bytes()))]


def csv_inputs(world: Path, random: Random) -> list[Input]:
    return data_input(world, "train.csv", lambda whole: broken_csv(whole.decode(), random, structural=40))


def vocabulary_inputs(world: Path, random: Random) -> list[Input]:
    return data_input(world, "vocab.json", lambda whole: broken_json(json.loads(whole), random, structural=30))


def h5_inputs(world: Path, random: Random) -> list[Input]:
    return data_input(world, "anetqa.h5", lambda whole: damage(whole, random, count=55))


def png_inputs(world: Path, random: Random) -> list[Input]:
    return data_input(world, "frames/v_train1/0002.png", lambda whole: damage(whole, random, count=55))


def jpg_inputs(world: Path, random: Random) -> list[Input]:
    for path in list((world / "data/frames/v_train1").iterdir()):
        Image.open(path).resize((80, 64)).save(path.with_suffix(".jpg"))
        path.unlink()
    return data_input(world, "frames/v_train1/0002.jpg", lambda whole: damage(whole, random, count=55))


def json_inputs(world: Path, random: Random) -> list[Input]:
    kinds = {"global": ["exists"], "semantic": "object", "structural": "verify", "ans_type": "binary", "nc_seq": 1}
    whole = {f"q{n}": {"question": f"what {n}?", "answer": "é", "video_id": f"V{n % 2}", **kinds} for n in range(4)}
    path = world / "agqa.json"
    path.write_text(json.dumps(whole))

    def reference() -> str:
        fields = ("question", "answer", "video_id", "global")
        rows = [[qid, *(own[name] for name in fields)] for qid, own in load_json(path).items()]
        return digest(rows).replace(r"\ud800", "?")  # as Arrow keeps a label that is no text

    read = lambda: digest(as_rows(agqa.read_questions(path), "global"))  # noqa: E731
    return [Input(path, read, reference, broken_json(whole, random, structural=60))]


def prediction_inputs(world: Path, random: Random) -> list[Input]:
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

    return [Input(path, read, reference, broken_json(whole, random, structural=40))]


def mp4_inputs(world: Path, random: Random) -> list[Input]:
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

    return [Input(path, read, reference, damage(path.read_bytes(), random, count=44))]


def saved(content: dict[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def trained(world: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    return load(train(world, "it", "max_epoch=1") / "checkpoints/last.ckpt")


def checkpoint_inputs(world: Path, random: Random) -> Iterator[Input]:
    """Of each format; the weights go into a network."""
    whole = trained(world)
    weights = whole["state_dict"]
    kept = {"state_dict": weights, "dest": whole["dest"]}
    formats: dict[str, tuple[bytes, Callable[[Path], dict[str, torch.Tensor]]]] = {
        "zip": (saved(kept), lambda path: weights),  # it has checksums: nothing else may come out
        "legacy": (saved(kept, _use_new_zipfile_serialization=False), lambda path: load(path)["state_dict"]),
        "safetensors": (save(weights), load_file),
    }

    def read(path: Path) -> str:
        file = read_checkpoint(path)
        describe(file)
        network = DeST(infer_sizes(file))
        load_weights(network, file, verbose=False)
        return as_text(network.state_dict())

    def as_text(weights: dict[str, torch.Tensor]) -> str:
        return digest({name: weight.numpy() for name, weight in weights.items()})

    for name, (content, other_reader) in formats.items():
        path = world / f"{name}.ckpt"
        path.write_bytes(content)
        reference = partial(lambda path, reader: as_text(reader(path)), path, other_reader)
        yield Input(path, partial(read, path), reference, damage(content, random, count=33))


def forged_inputs(world: Path, random: Random) -> list[Input]:
    """Whole files, with checksums that are right, which say something else; as `load_path` of a test."""
    path, results = world / "forged.ckpt", world / "predictions"
    whole = {key: own for key, own in trained(world).items() if key in ("state_dict", "dest", "epoch", "callbacks")}
    path.write_bytes(saved(whole))
    words = ["with", "test_only=True", f"load_path={path}", f"data_root={world / 'data'}", f"log_dir={results}"]
    words += ["overwrite=True", "accelerator=cpu", "precision=32", "num_workers=0"]

    def read() -> str:
        command(run_command_line, words)
        predictions, _ = sorted(results.glob("*.json"))
        return predictions.read_text()

    def reference() -> str:
        now = load(path)["state_dict"]
        for name, weight in whole["state_dict"].items():
            assert now[name].shape == weight.shape and now[name].isfinite().all(), name
        return read()

    def changed() -> Iterator[Broken]:
        for part in ("state_dict", "dest") * 25:
            what, other = restructure(whole[part], random)
            yield f"{part}: {what}", saved({**whole, part: other})

    return [Input(path, read, reference, changed(), may_be_unclear=True)]


def log_inputs(world: Path, random: Random) -> list[Input]:
    """As the page of results reads them, for curves."""
    trained(world)
    path = run_folder(world, "it") / "metrics.csv"
    read = lambda: digest(read_run(path.parent).metrics)  # noqa: E731
    return [Input(path, read, read, damage(path.read_bytes(), random, count=44), may_be_unclear=True)]


def settings_inputs(world: Path, random: Random) -> Iterator[Input]:
    """On the command line and as a file; what may be right runs, one batch."""
    last = ["fast_dev_run=1", "num_gpus=1", f"log_dir={world / 'result'}"]  # how much is done, and where
    defaults = asdict(Config())
    names = [*defaults, *(f"{name}.{part}" for name, own in defaults.items() if isinstance(own, dict) for part in own)]
    words, path = world / "words", world / "settings.json"
    words.write_text("seed=1")
    path.write_text(json.dumps(defaults))

    def read(*own: str) -> str:
        torch.set_num_threads(1)
        command(run_command_line, [*settings(world, *own), *last])
        return "ran"

    def odd_words() -> Iterator[Broken]:
        for number in range(150):
            own = [
                f"{random.choice(names)}={ODD_VALUES[random.integers(len(ODD_VALUES))]}"
                for _ in range(random.integers(1, 4))
            ]
            own[0] = own[0].replace("_", "", 1) if number % 8 == 0 else own[0]
            yield f"{own!r:.100}", "\n".join(own).encode()

    yield Input(words, lambda: read(*words.read_text().split("\n")), lambda: "ran", odd_words(), named="")
    yield Input(path, lambda: read(str(path)), lambda: "ran", broken_json(defaults, random, structural=60), named="")
