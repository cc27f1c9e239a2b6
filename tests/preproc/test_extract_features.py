"""Features against a plain loop: decode all, cut windows, resize, crop, normalise, one forward a window."""

import json
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import torch

from datasets.video.windows import WindowSettings
from modules.models.video_swin import ARCHITECTURES, VideoSwin
from preproc import extract_features as script
from tests.datasets.video.test_windows import plain_indices
from tests.datasets.video.video_files import make_video
from tests.kit.other_process import hdf5_elsewhere

SIZE = 16
TOY = ("--arch", "toy", "--random-start", "0", "--size", str(SIZE), "--decoders", "2")
LENGTHS = (1, 2, 31, 32, 33, 63, 64, 65, 96, 97, 130)


def run(folder, out, *arguments) -> int:
    return script.main([str(folder), str(out), "--dataset", "agqa", *TOY, *map(str, arguments)])


def decode_all(path) -> np.ndarray:
    """[frames, height, width, 3] RGB, by another decoder's interface."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (frame := capture.read()[1]) is not None:
        frames.append(frame[..., ::-1])
    return np.stack(frames)


@torch.inference_mode()
def plain_features(path, network, window) -> np.ndarray:
    frames, clips = decode_all(path), []
    scale = window.size / min(frames.shape[1:3])
    width, height = (int(length * scale + 0.5) for length in (frames.shape[2], frames.shape[1]))
    top, left = (height - window.size) // 2, (width - window.size) // 2
    for ids in plain_indices(len(frames), window):
        resized = np.stack([cv2.resize(frames[i], (width, height)) for i in ids])
        crop = resized[:, top : top + window.size, left : left + window.size].astype(np.float32)
        clips.append((crop - np.float32([123.675, 116.28, 103.53])) / np.float32([58.395, 57.12, 57.375]))
    return np.concatenate([network(torch.from_numpy(clip).permute(3, 0, 1, 2)[None]).numpy() for clip in clips])


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """One of each length, of several shapes."""
    folder = tmp_path_factory.mktemp("videos")
    for place, frames in enumerate(LENGTHS):
        size = ("40x24", "24x40", "33x27")[place % 3]
        make_video(folder / f"n{frames}.mp4", frames, size=size, options=("-pix_fmt", "yuv444p"))
    return folder


@pytest.fixture
def few(videos, tmp_path):
    (tmp_path / "videos").mkdir()
    return Path(shutil.copy(videos / "n33.mp4", tmp_path / "videos" / "a.mp4")).parent


OTHER = ("--clip-len", 8, "--frame-interval", 3, "--window-interval", 10)


@pytest.mark.parametrize(
    ("arguments", "changes", "least", "most"),
    [
        (("--batch-size", 3), {}, 0, 1e-5),
        (OTHER, {"clip_len": 8, "frame_interval": 3, "window_interval": 10}, 0, 1e-5),
        (("--store", "float16"), {"store": "float16"}, 1e-8, 5e-4),
        (("--precision", "bf16"), {"precision": "bf16"}, 1e-8, 2e-2),
    ],
)
def test_features_are_those_of_a_plain_loop(videos, tmp_path, arguments, changes, least, most):
    assert run(videos, tmp_path / "a.h5", *arguments) == 0
    network = VideoSwin(ARCHITECTURES["toy"]).eval()
    network.random_start(0)
    made_with = {"arch": "toy", "width": 128, "checkpoint_sha256": None, "random_start": 0, "size": SIZE}
    made_with |= {"clip_len": 32, "frame_interval": 2, "window_interval": 16, "precision": "32", "store": "float32"}
    made_with |= changes
    window = WindowSettings(*(made_with[name] for name in ("clip_len", "frame_interval", "window_interval", "size")))
    with h5py.File(tmp_path / "a.h5") as file:
        assert {name: json.loads(value) for name, value in file.attrs.items()} == made_with
        assert sorted(file["videos"]) == sorted(f"n{frames}" for frames in LENGTHS)
        for frames in LENGTHS:
            found, expected = file[f"videos/n{frames}"][()], plain_features(videos / f"n{frames}.mp4", network, window)
            assert found.dtype == made_with["store"] and found.shape == expected.shape
            assert least <= np.linalg.norm(found - expected) / np.linalg.norm(expected) < most


def test_shards_make_the_same_file(videos, tmp_path, monkeypatch, capsys):
    assert run(videos, tmp_path / "whole.h5") == 0
    out = tmp_path / "a.h5"
    assert run(videos, out, "--shard", "1/3") == 0
    assert run(videos, out, "--merge") == 2
    assert "videos are not done yet (first: " in capsys.readouterr().err
    for rank, world in (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS")):
        with monkeypatch.context() as patch:
            patch.setenv(rank, "0" if rank == "RANK" else "2")
            patch.setenv(world, "3")
            assert run(videos, out) == 0
    assert not out.exists()
    assert run(videos, out, "--merge") == 0
    assert out.read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_a_second_run_does_what_is_left(few, tmp_path, capsys, monkeypatch):
    out, listed = tmp_path / "a.h5", Path(tmp_path / "a.h5.failed.csv")
    (few / "b.mp4").touch()
    assert run(few, out) == 0
    assert f"{few}/b.mp4: the file is empty" in capsys.readouterr().out and listed.exists()
    shutil.copy(few / "a.mp4", few / "b.mp4")
    with hdf5_elsewhere(out):  # it is replaced, whole
        assert run(few, out) == 0
    assert "1 videos to do" in capsys.readouterr().out and not listed.exists()
    with h5py.File(out) as file:
        np.testing.assert_array_equal(file["videos/a"], file["videos/b"])
    monkeypatch.setattr(script, "make_extractor", None)  # nothing to do: no network is made
    assert run(few, out) == 0
    assert capsys.readouterr().out.splitlines() == [f"2 videos in {out}"]
    assert run(few, out, "--window-interval", 7) == 2
    assert "were made with window_interval = 16, and this run has 7" in capsys.readouterr().err


def test_features_that_overflow_are_not_stored(few, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(script.FeatureExtractor, "__call__", lambda self, batch: torch.full((1, 128), 1e6))
    assert run(few, tmp_path / "a.h5", "--store", "float16", "--batch-size", 1) == 2
    assert "none of the 1 videos in" in capsys.readouterr().err and not (tmp_path / "a.h5").exists()
    assert "not finite: they need a higher --precision" in (tmp_path / "a.h5.failed.csv").read_text()
