"""The same preprocessing started twice; file systems that know no locks; HDF5 files that are open elsewhere."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from datasets.names import hashed_name
from datasets.video.ffmpeg import find_ffmpeg
from preproc import extract_features, extract_frames, preproc_tgif, preproc_vatex
from tests.datasets.video.video_files import make_video
from tests.kit.other_process import hdf5_elsewhere, writer_elsewhere
from tests.kit.paths import ROOT

TOY = ("--dataset", "agqa", "--arch", "toy", "--random-start", "0", "--size", "16")


@pytest.fixture
def videos(tmp_path) -> Path:
    for name, frames in (("a", 400), ("b", 300), ("c", 200)):
        make_video(tmp_path / "videos" / f"{name}.mp4", frames)
    return tmp_path / "videos"


@pytest.fixture
def no_locks(monkeypatch):
    def refuse(*args):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "lockf", refuse)
    monkeypatch.setattr(fcntl, "flock", refuse)


def frames_of(folder: Path) -> dict[str, int]:
    return {path.name: len(list(path.iterdir())) for path in folder.iterdir() if path.is_dir()}


def test_frames_twice_at_once(videos, tmp_path):
    """One is refused, or finds all done; no frame is lost."""
    command = [sys.executable, ROOT / "preproc" / "extract_frames.py", videos, tmp_path / "frames", "--dataset", "agqa"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    runs = [subprocess.Popen([*command, "--fps", "25", "--jobs", "1"], **pipes) for _ in range(2)]
    errors = [run.communicate()[1] for run in runs]
    codes = sorted(run.returncode for run in runs)
    assert codes in ([0, 0], [0, 2])
    if codes == [0, 2]:
        assert any("frames is being written by process" in error for error in errors)
    assert frames_of(tmp_path / "frames") == {"a": 400, "b": 300, "c": 200}
    note = json.loads((tmp_path / "frames" / ".extract_frames.json").read_text())
    assert note["counts"] == {"a": 400, "b": 300, "c": 200}


def test_frames_of_another_run_stay_where_there_are_no_locks(videos, tmp_path, no_locks, capsys):
    """Neither what it is at work on is taken away, nor is what it has done in the way."""
    frames = tmp_path / "frames"
    at_work = frames / f".{hashed_name('b')}.x1y2"
    at_work.mkdir(parents=True)
    (at_work / "0001.png").touch()
    plain = tmp_path / "plain"
    plain.mkdir()
    subprocess.run(
        [find_ffmpeg(), "-v", "error", "-i", videos / "a.mp4", "-vf", "fps=3", plain / "%04d.png"], check=True
    )
    wrapper = tmp_path / "ffmpeg"
    wrapper.write_text(f'#!/bin/sh\n[ -e "{frames}/a" ] || cp -r "{plain}" "{frames}/a"\n"{find_ffmpeg()}" "$@"\n')
    wrapper.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datasets.video.ffmpeg.find_ffmpeg", lambda: str(wrapper))
        assert extract_frames.main([str(videos), str(frames), "--dataset", "agqa", "--jobs", "1"]) == 0
    assert (at_work / "0001.png").exists()
    assert "skipped" not in capsys.readouterr().out
    assert [path.name for path in frames.iterdir() if path.name.startswith(".")].count(at_work.name) == 1
    assert {name: number for name, number in frames_of(frames).items() if name[0] != "."} == {"a": 48, "b": 36, "c": 24}


def test_what_a_kill_left_is_removed(videos, tmp_path):
    left = tmp_path / "frames" / f".{hashed_name('b')}.x1y2"
    left.mkdir(parents=True)
    (tmp_path / "frames" / ".extract_frames.lock").write_text("12345 elsewhere\n")
    assert extract_frames.main([str(videos), str(tmp_path / "frames"), "--dataset", "agqa"]) == 0
    assert {path.name for path in (tmp_path / "frames").iterdir()} == {".extract_frames.json", "a", "b", "c"}


def test_counts_are_of_the_frames_that_are_there(videos, tmp_path):
    arguments = [str(videos), str(tmp_path / "frames"), "--dataset", "agqa"]
    note = tmp_path / "frames" / ".extract_frames.json"
    assert extract_frames.main(arguments) == 0
    before = json.loads(note.read_text())
    assert before["counts"] == {"a": 48, "b": 36, "c": 24}
    (tmp_path / "frames" / "a" / "0048.png").unlink()  # what was made stays noted
    shutil.rmtree(tmp_path / "frames" / "b")
    make_video(videos / "b.mp4", 100)  # another download
    assert extract_frames.main(arguments) == 0
    assert json.loads(note.read_text())["counts"] == {"a": 48, "b": 12, "c": 24}
    del before["counts"]
    note.write_text(json.dumps(before))  # as an earlier version wrote it
    assert extract_frames.main(arguments) == 0
    assert json.loads(note.read_text())["counts"] == {"a": 47, "b": 12, "c": 24}


def test_features_twice_at_once(videos, tmp_path, capsys):
    arguments = [str(videos), str(tmp_path / "a.h5"), *TOY]
    with writer_elsewhere(tmp_path / ".a.h5.lock") as process:
        assert extract_features.main(arguments) == 2
        said = f"a.h5 is being written by process {process.pid} on "
        assert said in capsys.readouterr().err
        assert extract_features.main([*arguments, "--shard", "0/2"]) == 2
    with writer_elsewhere(tmp_path / ".a.h5.lock", 1):  # another shard
        assert extract_features.main([*arguments, "--shard", "0/2"]) == 0
        assert extract_features.main([*arguments, "--shard", "1/2"]) == 2
        assert extract_features.main([*arguments, "--merge"]) == 2
    assert extract_features.main([*arguments, "--shard", "1/2"]) == 0
    assert extract_features.main([*arguments, "--merge"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "videos"]


def test_features_that_another_run_has_merged(videos, tmp_path, no_locks, monkeypatch, capsys):
    """Without locks, the one that ends last finds all done."""
    arguments = [str(videos), str(tmp_path / "a.h5"), *TOY]
    extract = extract_features.extract_features

    def overtaken(*args):
        monkeypatch.setattr(extract_features, "extract_features", extract)
        assert extract_features.main(arguments) == 0  # the other run, from its beginning to its end

    monkeypatch.setattr(extract_features, "extract_features", overtaken)
    assert extract_features.main(arguments) == 0
    assert capsys.readouterr().out.count("3 videos in") == 2
    with h5py.File(tmp_path / "a.h5") as file:
        assert sorted(file["videos"]) == ["a", "b", "c"]


@pytest.fixture
def vatex(tmp_path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    for split, name in (("training", "e\u0301"), ("validation", "\u00fc")):
        records = [{"videoID": name, "enCap": ["A dog."]}, {"videoID": f"{split} gone", "enCap": ["A cat."]}]
        (folder / f"vatex_{split}_v1.0.json").write_text(json.dumps(records))
    with h5py.File(tmp_path / "vatex.h5", "w") as file:
        for name in ("\u00e9", "u\u0308"):  # each spelt otherwise there
            file[name] = np.ones((2, 4), np.float32)
    return folder


def test_annotations_twice_at_once(vatex, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    with writer_elsewhere(tmp_path / "out" / ".preproc.lock"):
        assert preproc_vatex.main(["-i", str(vatex), "-o", str(tmp_path / "out")]) == 2
    assert "out is being written by process" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []
    assert preproc_vatex.main(["-i", str(vatex), "-o", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["train.json", "val.json"]


def test_features_are_named_in_another_spelling_and_open_elsewhere(vatex, tmp_path):
    arguments = ["-i", str(vatex), "-o", str(tmp_path / "out"), "--features", str(tmp_path / "vatex.h5")]
    with hdf5_elsewhere(tmp_path / "vatex.h5"):
        with pytest.raises(OSError, match="lock"):
            h5py.File(tmp_path / "vatex.h5", "r", locking=True)
        assert preproc_vatex.main(arguments) == 0
    assert [len(json.loads((tmp_path / "out" / f"{split}.json").read_text())) for split in ("train", "val")] == [1, 1]


def test_tgif_reads_features_that_are_open_elsewhere(tmp_path):
    (tmp_path / "tgif-v1.0.tsv").write_text("".join(f"https://x.y/{name}.gif\tone {name}\n" for name in "abc"))
    (tmp_path / "train.txt").write_text("https://x.y/a.gif\nhttps://x.y/b.gif\n")
    (tmp_path / "val.txt").write_text("https://x.y/c.gif\n")
    with h5py.File(tmp_path / "tgif.h5", "w") as file:
        file["a"] = file["c"] = np.ones((2, 4), np.float32)
    with hdf5_elsewhere(tmp_path / "tgif.h5"):
        arguments = ["-i", str(tmp_path), "-o", str(tmp_path / "out"), "--features", str(tmp_path / "tgif.h5")]
        assert preproc_tgif.main(arguments) == 0
    assert [record["vid"] for record in json.loads((tmp_path / "out" / "train.json").read_text())] == ["a"]


def test_a_second_extraction_where_hdf5_cannot_lock(videos, tmp_path, no_locks):
    arguments = [str(videos), str(tmp_path / "a.h5"), *TOY]
    assert extract_features.main(arguments) == 0
    make_video(videos / "d.mp4", 50)
    with hdf5_elsewhere(tmp_path / "a.h5"):
        assert extract_features.main(arguments) == 0  # replaces the file, whole
    with h5py.File(tmp_path / "a.h5") as file:
        assert sorted(file["videos"]) == ["a", "b", "c", "d"]


def test_a_mount_point_takes_frames(videos, tmp_path, capsys):
    """With what its system put there; no list of failures fits beside it."""
    frames = tmp_path / "frames"
    for name in ("lost+found", "@eaDir", "System Volume Information"):
        (frames / name).mkdir(parents=True)
    (videos / "#recycle").mkdir()
    for name in ("#recycle/a.mp4", "._b.mp4"):
        (videos / name).write_bytes(b"Mac OS X")
    (videos / "c.mp4").write_bytes(b"")
    (tmp_path / "frames.failed.csv").mkdir()
    assert extract_frames.main([str(videos), str(frames), "--dataset", "agqa"]) == 0
    said = capsys.readouterr().out
    assert f"1 skipped or damaged (no list of them: cannot write {frames}.failed.csv: Is a directory):" in said
    assert f"  {videos}/c.mp4: the file is empty" in said
    counts = {name: count for name, count in frames_of(frames).items() if count}
    assert counts == {"a": 48, "b": 36}


def test_frames_under_another_spelling_are_not_made_again(tmp_path, capsys):
    make_video(tmp_path / "videos" / "Zo\u00eb.mp4", 30)
    arguments = [str(tmp_path / "videos"), str(tmp_path / "frames"), "--dataset", "agqa"]
    assert extract_frames.main(arguments) == 0
    (tmp_path / "frames" / "Zo\u00eb").rename(tmp_path / "frames" / "Zoe\u0308")
    assert extract_frames.main(arguments) == 0
    assert "1 were there already" in capsys.readouterr().out
    assert list(frames_of(tmp_path / "frames")) == ["Zoe\u0308"]
