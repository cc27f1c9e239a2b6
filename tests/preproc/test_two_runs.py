"""The same preprocessing started twice; file systems that know no locks; HDF5 files that are open elsewhere."""

import errno
import fcntl
import json
import os
import shutil
from pathlib import Path

import h5py
import pytest

from datasets.names import hashed_name
from preproc import extract_features, extract_frames
from tests.datasets.video.video_files import make_video
from tests.kit.other_process import hdf5_elsewhere, writer_elsewhere
from tests.kit.processes import start

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
    """Of the videos, not of what systems put there."""
    return {path.name: count for path in folder.glob("[!.]*") if (count := len(list(path.iterdir())))}


def test_frames_twice_at_once(videos, tmp_path):
    """One is refused, or finds all done; no frame is lost."""
    words = ("preproc/extract_frames.py", videos, tmp_path / "frames", "--dataset", "agqa", "--fps", "25")
    runs = [start(*words, "--jobs", "1") for _ in range(2)]
    said = [run.communicate()[0] for run in runs]
    codes = sorted(run.returncode for run in runs)
    assert codes == [0, 0] or (codes == [0, 2] and "frames is being written by process" in "".join(said))
    note = json.loads((tmp_path / "frames" / ".extract_frames.json").read_text())
    assert note["counts"] == frames_of(tmp_path / "frames") == {"a": 400, "b": 300, "c": 200}


def test_frames_of_another_run_stay_where_there_are_no_locks(videos, tmp_path, no_locks, capsys, stand_in):
    """Neither what it is at work on is taken away, nor is what it has done in the way."""
    frames, made = tmp_path / "frames", tmp_path / "made elsewhere"
    at_work = frames / f".{hashed_name('b')}.x1y2"
    at_work.mkdir(parents=True)
    (at_work / "0001.png").touch()
    made.mkdir()
    for number in range(1, 49):
        (made / f"{number:04}.png").touch()
    stand_in(f'[ -e "{frames}/a" ] || cp -r "{made}" "{frames}/a"\n"$REAL" "$@"')
    assert extract_frames.main([str(videos), str(frames), "--dataset", "agqa", "--jobs", "1"]) == 0
    assert "skipped" not in capsys.readouterr().out and (at_work / "0001.png").exists()
    assert frames_of(frames) == {"a": 48, "b": 36, "c": 24}


def test_counts_are_of_the_frames_that_are_there(videos, tmp_path):
    """What a kill left is not there any more."""
    arguments = [str(videos), str(tmp_path / "frames"), "--dataset", "agqa"]
    note = tmp_path / "frames" / ".extract_frames.json"
    (tmp_path / "frames" / f".{hashed_name('b')}.x1y2").mkdir(parents=True)
    (tmp_path / "frames" / ".extract_frames.lock").write_text("12345 elsewhere\n")
    (tmp_path / "frames" / "lost+found").mkdir()  # a mount point takes frames
    assert extract_frames.main(arguments) == 0
    there = {path.name for path in (tmp_path / "frames").iterdir()}
    assert there == {".extract_frames.json", "a", "b", "c", "lost+found"}
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


def test_features_twice_at_once(videos, tmp_path, refused):
    arguments = [str(videos), str(tmp_path / "a.h5"), *TOY]
    with writer_elsewhere(tmp_path / ".a.h5.lock") as process:
        said = f"a.h5 is being written by process {process.pid} on "
        for words in ((), ("--shard", "0/2")):
            assert said in refused(extract_features.main, *arguments, *words)
    with writer_elsewhere(tmp_path / ".a.h5.lock", 1):  # another shard
        assert extract_features.main([*arguments, "--shard", "0/2"]) == 0
        for words in (("--shard", "1/2"), ("--merge",)):
            assert "is being written" in refused(extract_features.main, *arguments, *words)
    for words in (("--shard", "1/2"), ("--merge",)):
        assert extract_features.main([*arguments, *words]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "videos"]


def test_features_where_there_are_no_locks(videos, tmp_path, no_locks, monkeypatch, capsys):
    """The run that ends last finds all done; a file that is open elsewhere is replaced, whole."""
    arguments = [str(videos), str(tmp_path / "a.h5"), *TOY]
    extract = extract_features.extract_features

    def overtaken(*args):
        monkeypatch.setattr(extract_features, "extract_features", extract)
        assert extract_features.main(arguments) == 0  # the other run, from its beginning to its end

    monkeypatch.setattr(extract_features, "extract_features", overtaken)
    assert extract_features.main(arguments) == 0
    assert capsys.readouterr().out.count("3 videos in") == 2
    make_video(videos / "d.mp4", 50)
    with hdf5_elsewhere(tmp_path / "a.h5"):
        assert extract_features.main(arguments) == 0
    with h5py.File(tmp_path / "a.h5") as file:
        assert sorted(file["videos"]) == ["a", "b", "c", "d"]
