"""Features against a plain loop: decode all, cut windows, resize, crop, normalise, one forward a window."""

import csv
import os
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import torch

from datasets.video.library import Video, list_videos
from datasets.video.windows import WindowSettings
from modules.models.video_swin import ARCHITECTURES, VideoSwin
from preproc import extract_features as script
from tests.datasets.video.test_decoding import decode_all
from tests.datasets.video.test_windows import plain_indices
from tests.datasets.video.video_files import make_broken_videos, make_video

SIZE = 16
PUBLISHED = WindowSettings(size=SIZE)
TOY = ("--arch", "toy", "--random-start", "0", "--size", str(SIZE), "--decoders", "2")


def run(folder, out, *arguments, dataset="agqa") -> int:
    return script.main([str(folder), str(out), "--dataset", dataset, *TOY, *map(str, arguments)])


@pytest.fixture(scope="module")
def network():
    model = VideoSwin(ARCHITECTURES["toy"]).eval()
    model.random_start(0)
    return model


@torch.inference_mode()
def plain_features(path, network, window=PUBLISHED) -> np.ndarray:
    frames = decode_all(path)
    found = []
    for ids in plain_indices(len(frames), window):
        pixels = []
        for i in ids:
            height, width = frames.shape[1:3]
            scale = window.size / min(height, width)
            resized = cv2.resize(frames[i], (int(width * scale + 0.5), int(height * scale + 0.5)))
            top, left = (resized.shape[0] - window.size) // 2, (resized.shape[1] - window.size) // 2
            crop = resized[top : top + window.size, left : left + window.size].astype(np.float32)
            pixels.append((crop - np.float32([123.675, 116.28, 103.53])) / np.float32([58.395, 57.12, 57.375]))
        clip = torch.from_numpy(np.stack(pixels)).permute(3, 0, 1, 2)[None]
        found.append(network(clip)[0].numpy())
    return np.stack(found)


def relative_error(ours, theirs) -> float:
    return np.linalg.norm(ours.astype(np.float64) - theirs) / np.linalg.norm(theirs)


LENGTHS = (1, 2, 31, 32, 33, 63, 64, 65, 96, 97, 130)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """One of each length, of several shapes."""
    folder = tmp_path_factory.mktemp("videos")
    for place, frames in enumerate(LENGTHS):
        size = ("40x24", "24x40", "33x27")[place % 3]
        make_video(folder / f"n{frames}.mp4", frames, size=size, options=("-pix_fmt", "yuv444p"))
    return folder


@pytest.mark.parametrize("batch_size", (1, 3))
def test_features_are_those_of_a_plain_loop(videos, network, tmp_path, batch_size):
    assert run(videos, tmp_path / "a.h5", "--batch-size", batch_size) == 0
    with h5py.File(tmp_path / "a.h5") as file:
        assert sorted(file["videos"]) == sorted(f"n{frames}" for frames in LENGTHS)
        for frames in LENGTHS:
            found = file[f"videos/n{frames}"][()]
            expected = plain_features(videos / f"n{frames}.mp4", network)
            assert found.dtype == np.float32 and found.shape == expected.shape
            assert relative_error(found, expected) < 1e-5


def test_other_window_arithmetic(videos, network, tmp_path):
    window = WindowSettings(clip_len=8, frame_interval=3, window_interval=10, size=SIZE)
    arguments = ("--clip-len", 8, "--frame-interval", 3, "--window-interval", 10)
    assert run(videos, tmp_path / "a.h5", *arguments, dataset="anetqa") == 0
    with h5py.File(tmp_path / "a.h5") as file:
        for frames in LENGTHS:
            expected = plain_features(videos / f"n{frames}.mp4", network, window)
            assert relative_error(file[f"n{frames}"][()], expected) < 1e-5


def test_what_the_file_says_of_itself(videos, tmp_path):
    assert run(videos, tmp_path / "a.h5") == 0
    with h5py.File(tmp_path / "a.h5") as file:
        assert dict(file.attrs) == {
            "arch": '"toy"',
            "width": "128",
            "checkpoint_sha256": "null",
            "random_start": "0",
            "clip_len": "32",
            "frame_interval": "2",
            "window_interval": "16",
            "size": str(SIZE),
            "precision": '"32"',
            "store": '"float32"',
        }


def test_shards_make_the_same_file(videos, tmp_path, monkeypatch, capsys):
    assert run(videos, tmp_path / "whole.h5") == 0
    out = tmp_path / "a.h5"
    assert run(videos, out, "--shard", "1/3") == 0
    assert run(videos, out, "--merge") == 2
    assert "videos are not done yet (first: " in capsys.readouterr().err
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert run(videos, out) == 0
    monkeypatch.delenv("RANK")
    monkeypatch.setenv("SLURM_PROCID", "2")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "3")
    assert run(videos, out) == 0
    assert not out.exists()
    monkeypatch.delenv("SLURM_PROCID")
    assert run(videos, out, "--merge") == 0
    assert out.read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_a_second_merge_says_what_the_first_said(videos, tmp_path, capsys):
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "a.mp4").write_bytes((videos / "n33.mp4").read_bytes())
    (folder / "b.mp4").touch()
    assert run(folder, tmp_path / "a.h5", "--shard", "0/1") == 0
    capsys.readouterr()
    listed = Path(tmp_path / "a.h5.failed.csv").read_bytes()
    for _ in range(2):
        assert run(folder, tmp_path / "a.h5", "--merge") == 0
        assert f"{folder}/b.mp4: the file is empty" in capsys.readouterr().out
        assert Path(tmp_path / "a.h5.failed.csv").read_bytes() == listed

    (folder / "b.mp4").write_bytes((videos / "n33.mp4").read_bytes())
    assert run(folder, tmp_path / "a.h5") == 0  # tries it again
    assert "1 videos to do" in capsys.readouterr().out
    assert not Path(tmp_path / "a.h5.failed.csv").exists()
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["videos/a"], file["videos/b"])


def test_a_video_that_vanishes(videos, tmp_path, monkeypatch):
    def vanishing(folder, naming):
        found, problems = list_videos(folder, naming)
        return [*found, Video(folder / "gone.mp4", "gone")], problems

    monkeypatch.setattr(script, "list_videos", vanishing)
    assert run(videos, tmp_path / "a.h5") == 0
    assert (tmp_path / "a.h5.failed.csv").read_text().endswith("gone.mp4,cannot be read: No such file or directory\n")


def test_a_second_run_does_what_is_left(videos, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "n33.mp4").write_bytes((videos / "n33.mp4").read_bytes())
    assert run(folder, tmp_path / "a.h5") == 0
    (folder / "n65.mp4").write_bytes((videos / "n65.mp4").read_bytes())
    capsys.readouterr()
    assert run(folder, tmp_path / "a.h5") == 0
    assert "1 videos to do" in capsys.readouterr().out

    monkeypatch.setattr(script, "make_extractor", None)  # nothing to do: no network is made
    assert run(folder, tmp_path / "a.h5") == 0
    assert capsys.readouterr().out.splitlines() == [f"2 videos in {tmp_path / 'a.h5'}"]
    with h5py.File(tmp_path / "a.h5") as file:
        assert {key: len(item) for key, item in file["videos"].items()} == {"n33": 1, "n65": 2}


def test_other_settings_are_refused(videos, tmp_path, capsys):
    assert run(videos, tmp_path / "a.h5") == 0
    for argument, setting in (("--window-interval", "window_interval = 16"), ("--random-start", "random_start = 0")):
        assert run(videos, tmp_path / "a.h5", argument, 7) == 2
        assert f"were made with {setting}, and this run has 7" in capsys.readouterr().err


def test_broken_videos_stop_nothing(tmp_path, capsys):
    expected = make_broken_videos(tmp_path / "videos")
    assert run(tmp_path / "videos", tmp_path / "a.h5") == 0
    with (tmp_path / "a.h5.failed.csv").open() as file:
        reasons = {os.path.basename(row["file"]): row["reason"] for row in csv.DictReader(file)}  # noqa: PTH119
    assert reasons.keys() == {name for name, reason in expected.items() if reason}
    assert all(expected[name] in reason for name, reason in reasons.items())
    used = {name for name, reason in expected.items() if not reason or "used, but" in reason}
    with h5py.File(tmp_path / "a.h5") as file:
        assert set(file["videos"]) == {name.rpartition(".")[0] for name in used}
    assert f"{len(reasons)} skipped or damaged" in capsys.readouterr().out
    assert any("used, but damaged" in reason for reason in reasons.values())

    listed = (tmp_path / "a.h5.failed.csv").read_bytes()
    assert run(tmp_path / "videos", tmp_path / "a.h5") == 0  # tries those without features again, no others
    assert (tmp_path / "a.h5.failed.csv").read_bytes() == listed


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [(("--store", "float16"), 5e-4), (("--precision", "bf16"), 2e-2), (("--precision", "16"), 5e-3)],
)
def test_lower_precision(videos, network, tmp_path, arguments, limit):
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "a.mp4").write_bytes((videos / "n65.mp4").read_bytes())
    assert run(folder, tmp_path / "a.h5", *arguments) == 0
    with h5py.File(tmp_path / "a.h5") as file:
        found = file["videos/a"][()]
    assert found.dtype == (np.float16 if "--store" in arguments else np.float32)
    assert 0 < relative_error(found, plain_features(videos / "n65.mp4", network)) < limit


def test_features_that_overflow_are_not_stored(videos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(script.FeatureExtractor, "__call__", lambda self, batch: torch.full((1, 128), 1e6))
    assert run(videos, tmp_path / "a.h5", "--store", "float16", "--batch-size", 1) == 2
    assert f"none of the {len(LENGTHS)} videos in" in capsys.readouterr().err
    assert not (tmp_path / "a.h5").exists()
    assert (tmp_path / "a.h5.failed.csv").read_text().count("not finite: they need a higher --precision") == len(
        LENGTHS
    )


def test_an_error_in_a_decoder_is_not_swallowed(videos, tmp_path, monkeypatch):
    def fails(*args):
        raise ZeroDivisionError

    monkeypatch.setattr("datasets.video.decode_ahead.window_batches", fails)
    with pytest.raises(ZeroDivisionError):
        run(videos, tmp_path / "a.h5")


NO_MEMORY = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes. Error code 12"


@pytest.mark.parametrize(
    "error", [RuntimeError(NO_MEMORY), torch.OutOfMemoryError("CUDA out of memory"), MemoryError()]
)
def test_memory_that_is_full(videos, tmp_path, monkeypatch, capsys, error):
    def fails(*args):
        raise error

    monkeypatch.setattr(script.FeatureExtractor, "__call__", fails)
    assert run(videos, tmp_path / "a.h5") == 2
    assert capsys.readouterr().err.endswith("error: out of memory: lower --batch-size (it is 8)\n")


def test_other_errors_of_the_network_are_not_taken_for_it(videos, tmp_path, monkeypatch):
    def fails(*args):
        raise RuntimeError("expected scalar type Float")

    monkeypatch.setattr(script.FeatureExtractor, "__call__", fails)
    with pytest.raises(RuntimeError, match="expected scalar type Float"):
        run(videos, tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shard", "3/3"], "--shard '3/3' must be i/n with i from 0 to n - 1, e.g. 0/8 … 7/8"),
        (["--batch-size", "0"], "--batch-size 0 must be at least 1"),
        (["--decoders", "0"], "--decoders 0 must be at least 1"),
        (["--size", "0"], "--size 0 must be at least 1"),
        (["--arch", "bass"], "did you mean 'base'?"),
        (["--device", "cudo"], "--device 'cudo' cannot be used: "),
        (["--dataset", "anetq"], "did you mean 'anetqa'?"),
    ],
)
def test_bad_arguments(videos, tmp_path, capsys, arguments, message):
    assert run(videos, tmp_path / "a.h5", *arguments) == 2
    assert message in capsys.readouterr().err


def test_checkpoint_that_is_not_there(videos, tmp_path, capsys):
    arguments = ["--dataset", "agqa", "--checkpoint", str(tmp_path / "swin.pth")]
    assert script.main([str(videos), str(tmp_path / "a.h5"), *arguments]) == 2
    assert f"{tmp_path / 'swin.pth'} does not exist" in capsys.readouterr().err


def test_compiling_without_a_compiler(videos, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert run(videos, tmp_path / "a.h5", "--compile", "--device", "cpu") == 2
    error = capsys.readouterr().err
    assert error.startswith(
        "error: --compile needs a C++ compiler, and CXX=no-such-compiler is no program: install one"
    )
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("a.h5*"))
